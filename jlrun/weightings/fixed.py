"""Weightings that do not change."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from jlrun.errors import UserError, did_you_mean
from jlrun.ranges import NonNegativeFloat
from jlrun.weightings.base import TaskLosses, Weighting


class Equal(Weighting):
    """The plain sum Σ L_i."""

    def forward(self, losses: TaskLosses) -> Tensor:
        return losses.values.sum()


class Static(Weighting):
    """The fixed weighted sum Σ w_i L_i.

    Args:
        tasks: names of the tasks.
        weights: task -> w_i, at least 0; a task without an entry has weight 1.

    Raises:
        UserError: if ``weights`` names something that is not a task, or all weights are 0.
    """

    def __init__(self, tasks: tuple[str, ...], weights: Mapping[str, NonNegativeFloat]) -> None:
        super().__init__(tasks)
        for name in weights:
            if name not in tasks:
                raise UserError.of(
                    f"weighting.weights.{name}",
                    f"there is no such task.{did_you_mean(name, tasks)}",
                )
        self.last_weights = torch.tensor([float(weights.get(task, 1.0)) for task in tasks])
        if not bool(self.last_weights.any()):
            raise UserError.of("weighting.weights", "every task has weight 0; give one a weight")

    def forward(self, losses: TaskLosses) -> Tensor:
        return (self.last_weights * losses.values).sum()
