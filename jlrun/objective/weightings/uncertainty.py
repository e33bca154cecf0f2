"""Homoscedastic uncertainty."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from jlrun.objective.weightings.base import LossWeighting, TaskLosses


class Uncertainty(LossWeighting):
    """Minimise Σ ½ e^(−s_i) L_i + ½ s_i with learned log-variances s_i.

    Kendall, Gal & Cipolla, "Multi-Task Learning Using Uncertainty to Weigh Losses", CVPR 2018,
    eq. (7), with s = log σ². Differs from it in: the ½ stands before every loss, of classification
    too, as in the authors' later practice. A task without labels in a step adds nothing; the
    optimizer's momentum may still move its s_i.
    """

    def __init__(self, tasks: tuple[str, ...]) -> None:
        super().__init__(tasks)
        self.log_variance = nn.Parameter(torch.zeros(len(tasks)))

    def forward(self, losses: TaskLosses) -> Tensor:
        precision = torch.exp(-self.log_variance)
        self.last_weights = 0.5 * precision.detach()
        total = 0.5 * precision * losses.values + 0.5 * self.log_variance
        return (total * losses.active).sum()
