"""Soft optimal uncertainty weighting."""

from __future__ import annotations

from torch import Tensor

from jlrun.objective.weightings.base import LossWeighting, TaskLosses
from jlrun.objective.weightings.masked_softmax import masked_softmax
from jlrun.objective.weightings.positive import positive
from jlrun.ranges import PositiveFloat


class UncertaintySoft(LossWeighting):
    """Weigh tasks by the softmax of their inverse losses.

    w = softmax(1 / (τ sg[L])), where sg stops the gradient: uncertainty weighting with its
    variances at their optimum, made milder by τ. The weights sum to 1.

    Kirchdorfer et al., "Analytical Uncertainty-Based Loss Weighting in Multi-Task Learning", GCPR
    2024 (UW-SO). Differs from it in: L + 1e-8 stands for L; the softmax is over the tasks with
    labels in the step. The temperature has no default there: it has to be tuned, since a loss that
    is small against 1/τ takes all the weight. Losses must not be negative.

    Args:
        tasks: names of the tasks.
        temperature: τ; larger is closer to equal weights.
    """

    def __init__(self, tasks: tuple[str, ...], temperature: PositiveFloat = 1.0) -> None:
        super().__init__(tasks)
        self.temperature = temperature

    def forward(self, losses: TaskLosses) -> Tensor:
        inverse = 1 / (self.temperature * positive(losses.values.detach()))
        weights = masked_softmax(inverse, losses.active)
        self.last_weights = weights
        return (weights * losses.values).sum()
