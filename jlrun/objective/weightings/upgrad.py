"""Unconflicting projection of gradients."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from jlrun.objective.weightings.base import GramianWeighting
from jlrun.objective.weightings.gramian import DualCone
from jlrun.ranges import NonNegativeFloat


class UPGrad(GramianWeighting):
    """Project each task's gradient so that it hurts no task, and take the mean.

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
