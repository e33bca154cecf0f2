"""Random loss weighting."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from jlrun.objective.weightings.base import LossWeighting, TaskLosses
from jlrun.objective.weightings.simplex import masked_softmax

Distribution = Literal["normal", "uniform", "dirichlet"]


class Random(LossWeighting):
    """New weights, drawn in every step.

    w = A softmax(x), x ~ N(0, I), over the A tasks with labels in the step.

    Lin, Ye, Zhang & Tsang, "Reasonable Effectiveness of Random Weighting: A Litmus Test for
    Multi-Task Learning", TMLR 2022, the loss-weighting variant. Differs from it in: weights sum to
    the number of tasks instead of 1, so that learning rates of the plain sum carry over; tasks
    without labels in a step have weight 0.

    Args:
        tasks: names of the tasks.
        distribution: of x: standard ``normal``, ``uniform`` on [0, 1), or that whose w / A is
            uniform on the simplex (``dirichlet``).
    """

    def __init__(self, tasks: tuple[str, ...], distribution: Distribution = "normal") -> None:
        super().__init__(tasks)
        self.distribution: Distribution = distribution

    def forward(self, losses: TaskLosses) -> Tensor:
        # The k-th active task takes the k-th draw, whatever tasks there are besides.
        place = (losses.active.cumsum(0) - 1).clamp(min=0)
        draws = _draw(self.distribution, len(self.tasks)).to(losses.values)[place]
        weights = losses.active.sum() * masked_softmax(draws, losses.active)
        self.last_weights = weights
        return (weights * losses.values).sum()


def _draw(distribution: Distribution, count: int) -> Tensor:
    """Return the logits of `count` weights, drawn on the CPU."""
    match distribution:
        case "normal":
            return torch.randn(count)
        case "uniform":
            return torch.rand(count)
        case "dirichlet":  # normalised exponential variables are uniform on the simplex
            return torch.empty(count).exponential_().log()
