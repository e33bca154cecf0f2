"""The sum of the losses' logarithms."""

from __future__ import annotations

import torch
from torch import Tensor

from jlrun.objective.weightings.base import LossWeighting, TaskLosses, positive


class Log(LossWeighting):
    """Minimise Σ log L_i, whose update does not depend on the losses' scales.

    The scale-invariant baseline (SI) of Navon et al., "Multi-Task Learning as a Bargaining Game",
    ICML 2022. Differs from it in: L + 1e-8 stands for L. Losses must not be negative.

    Args:
        tasks: names of the tasks.
    """

    def forward(self, losses: TaskLosses) -> Tensor:
        shifted = torch.where(losses.active, positive(losses.values), 1.0)
        self.last_weights = (losses.active / shifted).detach()
        return shifted.log().sum()
