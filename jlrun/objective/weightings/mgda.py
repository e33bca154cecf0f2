"""Multiple gradient descent: the shortest convex combination of the task gradients."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from jlrun.objective.weightings.base import GramianWeighting
from jlrun.objective.weightings.gramian import factor, nonnegative_least_squares


class MGDA(GramianWeighting):
    """Update of least norm ‖Σ w_i g_i‖ over w ≥ 0, Σ w_i = 1: no task's loss rises along it.

    Désidéri, "Multiple-gradient descent algorithm (MGDA) for multiobjective optimization", Comptes
    Rendus Mathématique 2012; Sener & Koltun, "Multi-Task Learning as Multi-Objective Optimization",
    NeurIPS 2018, eq. (3). Differs from it in: the solution is exact, where algorithm 2 there
    (Frank-Wolfe) stops early. A task whose gradient is zero takes all the weight: nothing can be
    gained without hurting it.

    Args:
        tasks: names of the tasks.
        normalize: what gradients are divided by while w is found; w then weighs the gradients as
            they are, as in the authors' code: their norms (``l2``), the losses (``loss``), the
            product of both (``loss+``), or nothing.
    """

    def __init__(
        self, tasks: tuple[str, ...], normalize: Literal["none", "l2", "loss", "loss+"] = "none"
    ) -> None:
        super().__init__(tasks)
        self.normalize = normalize

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        array = gramian.numpy()
        if self.normalize != "none":
            scale = 1 / self._normalizers(array, losses.numpy())
            array = scale[:, None] * array * scale
        return torch.from_numpy(shortest_combination(array))

    def _normalizers(self, gramian: np.ndarray, losses: np.ndarray) -> np.ndarray:
        scale = np.ones(len(gramian))
        if self.normalize in ("l2", "loss+"):
            scale = np.sqrt(gramian.diagonal())
        if self.normalize in ("loss", "loss+"):
            scale = scale * np.abs(losses)
        return np.where(scale > 0, scale, 1.0)


def shortest_combination(gramian: np.ndarray) -> np.ndarray:
    """Return w ``(A,)`` of the simplex that minimises wᵀGw.

    With A Aᵀ = G, min_u≥0 ‖[Aᵀ; s 1ᵀ] u − [0; s]‖² = min_σ min_w σ² wᵀGw + s² (σ − 1)² where
    u = σw: for each sum σ the same w is best. With s² the smallest squared norm, at least the
    minimum, σ is between ½ and 1.
    """
    squares = gramian.diagonal()
    smallest = squares.min()
    if smallest <= 0:
        return (squares <= 0) / (squares <= 0).sum()
    system = np.vstack([factor(gramian).T, np.full(len(gramian), np.sqrt(smallest))])
    target = np.zeros(len(system))
    target[-1] = system[-1, 0]
    u = nonnegative_least_squares(system, target)
    return u / u.sum()
