"""Fixed weightings."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from jlrun.errors import UserError, did_you_mean
from jlrun.objective.weightings.base import LossWeighting, TaskLosses
from jlrun.ranges import NonNegativeFloat


class Equal(LossWeighting):
    """Plain sum Σ L_i."""

    additive = True

    def forward(self, losses: TaskLosses) -> Tensor:
        return losses.values.sum()


class Static(LossWeighting):
    """Fixed weighted sum Σ w_i L_i.

    Args:
        tasks: names of the tasks.
        weights: task -> w_i, at least 0; a task without an entry has weight 1.
    """

    additive = True

    def __init__(self, tasks: tuple[str, ...], weights: Mapping[str, NonNegativeFloat]) -> None:
        super().__init__(tasks)
        self._weights = dict(weights)
        self.last_weights = torch.tensor([float(weights.get(task, 1.0)) for task in tasks])

    def forward(self, losses: TaskLosses) -> Tensor:
        return (self.last_weights * losses.values).sum()

    def check(self, known: Collection[str]) -> None:
        """Check that weights are of tasks, and that some task of the phase has a positive one."""
        for name in self._weights:
            if name not in known:
                raise UserError.of(
                    f"weighting.weights.{name}",
                    f"there is no such task.{did_you_mean(name, known)}",
                )
        if not bool(self.last_weights.any()):
            names = ", ".join(self.tasks)
            raise UserError.of("weighting.weights", f"all tasks ({names}) have weight 0")
