"""The mean gradient, projected so that it hurts no task."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from jlrun.objective.weightings.base import GramianWeighting
from jlrun.objective.weightings.gramian import DualCone
from jlrun.ranges import NonNegativeFloat


class DualProj(GramianWeighting):
    """Project the mean gradient on the cone of updates along which no task's loss rises.

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
