"""Projections of gradients on the updates that hurt no task: DualProj, UPGrad."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from jlrun.objective.weightings.base import GramianWeighting
from jlrun.objective.weightings.gramian import factor, nonnegative_least_squares
from jlrun.ranges import NonNegativeFloat


class DualCone:
    """Projection of Σ u_i g_i on {d: g_i·d ≥ 0 for all i}.

    Quinton & Rey, "Jacobian Descent For Multi-Objective Optimization", 2024, proposition 1: the
    projection is Σ w_i g_i with w the minimum of wᵀGw over w ≥ u. With A Aᵀ = G, w = u + x where
    x ≥ 0 minimises ‖Aᵀx + Aᵀu‖.

    Each entry on the diagonal of G is multiplied by 1 + ``reg_eps``, which bounds w where gradients
    are nearly opposed: along the update a loss rises by at most ``reg_eps`` times what the task's
    own part w_i g_i lowers it. The authors' library adds one number to all entries instead: beside
    a gradient a hundred times as long, a task's entry is as small as that number, and the update
    goes against the task.

    Args:
        gramian: G, ``(A, A)``.
        norm_eps: trace of G under which gradients count as 0: then nothing is projected.
        reg_eps: share of itself that is added to each entry on the diagonal of G.
    """

    def __init__(self, gramian: np.ndarray, norm_eps: float, reg_eps: float) -> None:
        known = gramian if gramian.trace() >= norm_eps else np.zeros_like(gramian)
        self._factor = factor(known + reg_eps * np.diag(known.diagonal()))

    def project(self, u: np.ndarray) -> np.ndarray:
        """Return w ``(A,)`` of u ``(A,)``."""
        return u + nonnegative_least_squares(self._factor.T, -(u @ self._factor))


class DualProj(GramianWeighting):
    """Mean gradient, projected on the cone of updates along which no task's loss rises.

    Lopez-Paz & Ranzato, "Gradient Episodic Memory for Continual Learning", NeurIPS 2017, eq. (11),
    for tasks in place of memories, as in Quinton & Rey, "Jacobian Descent For Multi-Objective
    Optimization", 2024. Differs from it in: what `DualCone` does to G; ``norm_eps`` is 1e-4 in
    their library, under which gradients of small losses would all count as 0.

    Args:
        tasks: names of the tasks.
        norm_eps: trace of G under which gradients count as 0: then the update is their mean.
        reg_eps: share of itself that is added to each entry on the diagonal of G.
    """

    def __init__(
        self,
        tasks: tuple[str, ...],
        norm_eps: NonNegativeFloat = 0.0,
        reg_eps: NonNegativeFloat = 1e-4,
    ) -> None:
        super().__init__(tasks)
        self.norm_eps, self.reg_eps = norm_eps, reg_eps

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        cone = DualCone(gramian.numpy(), self.norm_eps, self.reg_eps)
        return torch.from_numpy(cone.project(np.full(len(gramian), 1 / len(gramian))))


class UPGrad(GramianWeighting):
    """Mean of the task gradients, each projected so that it hurts no task.

    Quinton & Rey, "Jacobian Descent For Multi-Objective Optimization", 2024. Differs from
    it in: what `DualCone` does to G; ``norm_eps`` is 1e-4 in their library, under which gradients
    of small losses would all count as 0.

    Args:
        tasks: names of the tasks.
        norm_eps: trace of G under which gradients count as 0: then the update is their mean.
        reg_eps: share of itself that is added to each entry on the diagonal of G.
    """

    def __init__(
        self,
        tasks: tuple[str, ...],
        norm_eps: NonNegativeFloat = 0.0,
        reg_eps: NonNegativeFloat = 1e-4,
    ) -> None:
        super().__init__(tasks)
        self.norm_eps, self.reg_eps = norm_eps, reg_eps

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        cone = DualCone(gramian.numpy(), self.norm_eps, self.reg_eps)
        count = len(gramian)
        return torch.from_numpy(sum(map(cone.project, np.eye(count) / count), np.zeros(count)))
