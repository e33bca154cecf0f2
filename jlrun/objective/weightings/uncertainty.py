"""Homoscedastic uncertainty."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from jlrun.objective.weightings.base import LossWeighting, TaskLosses, positive
from jlrun.objective.weightings.simplex import masked_softmax
from jlrun.ranges import PositiveFloat


class Uncertainty(LossWeighting):
    """Loss Σ ½ e^(−s_i) L_i + ½ s_i with learned log-variances s_i.

    Kendall, Gal & Cipolla, "Multi-Task Learning Using Uncertainty to Weigh Losses", CVPR 2018,
    eq. (7), with s = log σ². Differs from it in: the ½ stands before every loss, of classification
    too, as in the authors' later practice. A task without labels in a step adds nothing; the
    optimizer's momentum may still move its s_i.

    Args:
        tasks: names of the tasks.
    """

    def __init__(self, tasks: tuple[str, ...]) -> None:
        super().__init__(tasks)
        self.log_variance = nn.Parameter(torch.zeros(len(tasks)))

    def forward(self, losses: TaskLosses) -> Tensor:
        precision = torch.exp(-self.log_variance)
        self.last_weights = 0.5 * precision.detach()
        total = 0.5 * precision * losses.values + 0.5 * self.log_variance
        return (total * losses.active).sum()


class UncertaintySoft(LossWeighting):
    """Weights by the softmax of the inverse losses.

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
