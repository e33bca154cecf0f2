"""Logarithms of losses: their sum, and their mean in the geometric mean."""

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


class Geometric(LossWeighting):
    """Minimise the geometric mean (Π L_i)^(1/T) = exp(mean_i log L_i).

    Chennupati et al., "MultiNet++: Multi-Stream Feature Aggregation and Geometric Loss Strategy
    for Multi-Task Learning", CVPR workshops 2019. Differs from it in: L + 1e-8 stands for L; the
    mean is over the tasks with labels in the step. Losses must not be negative.

    Args:
        tasks: names of the tasks.
    """

    def forward(self, losses: TaskLosses) -> Tensor:
        shifted = torch.where(losses.active, positive(losses.values), 1.0)
        count = losses.active.sum().clamp(min=1)
        mean = torch.exp(shifted.log().sum() / count) * losses.active.any()
        self.last_weights = (mean / (count * shifted) * losses.active).detach()
        return mean
