"""Impartial multi-task learning, both parts."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from jlrun.objective.weightings.base import (
    GramianWeighting,
    LossWeighting,
    TaskGradients,
    TaskLosses,
    positive,
)
from jlrun.objective.weightings.gramian import RANK_TOLERANCE, on_nonzero, unit_rows
from jlrun.objective.weightings.state import TaskAdam
from jlrun.ranges import PositiveFloat


class IMTL(GramianWeighting):
    """IMTL-G on losses that IMTL-L scales: learned e^(s_i) bring all L_i e^(s_i) towards 1.

    Liu et al., "Towards Impartial Multi-task Learning", ICLR 2021, IMTL: s_i
    follows the gradient of e^(s_i) L_i − s_i. IMTL-G's direction does not depend on the scale of a
    task's loss, so s changes the length of the update only (and the weights of the heads' losses,
    where they are used). Differs from it in: s has its own Adam, where the paper trains it
    with the optimizer of the model; L + 1e-8 stands for L there. Losses must not be negative.

    Args:
        tasks: names of the tasks.
        lr: learning rate of s.
    """

    def __init__(self, tasks: tuple[str, ...], lr: PositiveFloat = 1e-3) -> None:
        super().__init__(tasks)
        self.log_scale: Tensor
        self.register_buffer("log_scale", torch.zeros(len(tasks)))
        self.adam = TaskAdam(len(tasks), lr)
        self._active_scale: Tensor | None = None

    def forward(self, gradients: TaskGradients) -> Tensor:
        scale = self.log_scale.exp()
        self._active_scale = scale[gradients.active].double().cpu()
        update = super().forward(gradients)
        slope = scale * positive(gradients.losses).to(scale) - 1
        self.adam.step(self.log_scale, slope, gradients.active)
        return update

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        scale = self._active_scale
        assert scale is not None
        return scale * on_nonzero(scale[:, None] * gramian * scale, impartial_weights)


class IMTLG(GramianWeighting):
    """Update whose projections on all task gradients are equal.

    Liu et al., "Towards Impartial Multi-task Learning", ICLR 2021, the gradient balance: g·g_i /
    ‖g_i‖ is the same for all i and Σ w_i = 1, so that w = v / Σ v_i with G v = (‖g_i‖)_i. Differs
    from it in: where gradients are linearly dependent v is that of the pseudo-inverse, as in
    Quinton & Rey, "Jacobian Descent For Multi-Objective Optimization", 2024, unless a combination
    with positive weights cancels them, which is w then; where Σ v_i is 0 so is the update.
    Weights may be negative; where Σ v_i is, the update leads uphill for all tasks, as published.

    Args:
        tasks: names of the tasks.
    """

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        return on_nonzero(gramian, impartial_weights)


def impartial_weights(gramian: np.ndarray) -> np.ndarray:
    """Return IMTL-G's w ``(A,)``, of a sum of 1, or all 0."""
    v = impartial_solution(gramian)
    total = v.sum()
    return v / total if abs(total) > RANK_TOLERANCE * np.abs(v).sum() else np.zeros(len(v))


def impartial_solution(gramian: np.ndarray) -> np.ndarray:
    """Return v ``(A,)`` with G v = (‖g_i‖)_i, of least norm where that is singular."""
    norms, cosines = unit_rows(gramian)
    eigenvalues, vectors = np.linalg.eigh(cosines)
    if eigenvalues[0] > RANK_TOLERANCE * eigenvalues[-1]:
        return vectors @ (vectors.sum(axis=0) / eigenvalues) / norms
    if (vectors[:, 0] > 0).all() or (vectors[:, 0] < 0).all():
        # A convex combination of the gradients all but cancels: the point is near the Pareto front,
        # and this combination, which the inverse would tend to, is the update.
        return np.abs(vectors[:, 0]) / norms
    scale = norms.max()
    return np.linalg.pinv(gramian / scale**2, RANK_TOLERANCE, hermitian=True) @ norms / scale**2


class IMTLL(LossWeighting):
    """Loss Σ e^(s_i) L_i − s_i with learned scales s_i, which draws each e^(s_i) L_i to 1.

    Liu et al., "Towards Impartial Multi-task Learning", ICLR 2021, the loss balance (IMTL-L) with
    base e. Differs from it in: L + 1e-8 stands for L, so that s_i has an optimum, −log L_i, where
    L_i = 0 too; a task without labels in a step adds nothing. Losses must not be negative.

    Args:
        tasks: names of the tasks.
    """

    def __init__(self, tasks: tuple[str, ...]) -> None:
        super().__init__(tasks)
        self.log_scale = nn.Parameter(torch.zeros(len(tasks)))

    def forward(self, losses: TaskLosses) -> Tensor:
        scale = torch.exp(self.log_scale)
        self.last_weights = scale.detach() * losses.active
        return ((scale * positive(losses.values) - self.log_scale) * losses.active).sum()
