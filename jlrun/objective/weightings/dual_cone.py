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

    As in the authors' library, G is divided by its trace, and by less than ``norm_eps`` not at all
    but taken for 0; then ``reg_eps`` is added to its diagonal. With 1e-4 a task is therefore heard
    less the shorter its gradient is beside others: the update may go against one of a tenth of
    their length, and does not heed one of a thousandth. With 0 it hurts no task at any length; but
    then one that is nearly learned, with gradients as short as these, binds every update as much as
    the others do, its w_i grows as they shrink, and others may not be learned.

    Args:
        gramian: G, ``(A, A)``.
        norm_eps: trace of G under which gradients count as 0.
        reg_eps: what is added to the diagonal of the normalised G.
    """

    def __init__(self, gramian: np.ndarray, norm_eps: float, reg_eps: float) -> None:
        trace = gramian.trace()
        normalized = gramian / trace if trace > 0 and trace >= norm_eps else np.zeros_like(gramian)
        self._factor = factor(normalized + reg_eps * np.eye(len(gramian)))

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
        reg_eps: what is added to the diagonal of G over its trace.
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
        reg_eps: what is added to the diagonal of G over its trace.
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
