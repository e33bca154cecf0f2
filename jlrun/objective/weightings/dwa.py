"""Dynamic weight average."""

from __future__ import annotations

import torch
from torch import Tensor

from jlrun.objective.weightings.base import LossWeighting, TaskLosses
from jlrun.ranges import PositiveFloat


class DWA(LossWeighting):
    """Weights by how slowly a task's mean loss of an epoch falls.

    w = T softmax(r / τ), r_i = L̄_i(t−1) / L̄_i(t−2), and w = 1 in the first two epochs.

    Liu, Johns & Davison, "End-to-End Multi-Task Learning with Attention", CVPR 2019, eq. (7).
    Differs from it in: an epoch's mean is over the steps in which the task had labels; a task
    without any in one of the two epochs has r_i = 1.

    Args:
        tasks: names of the tasks.
        temperature: τ; larger is closer to equal weights.
    """

    def __init__(self, tasks: tuple[str, ...], temperature: PositiveFloat = 2.0) -> None:
        super().__init__(tasks)
        self.temperature = temperature
        count = len(tasks)
        self.loss_sum: Tensor
        self.loss_steps: Tensor
        self.previous_means: Tensor
        self.register_buffer("loss_sum", torch.zeros(count))
        self.register_buffer("loss_steps", torch.zeros(count))
        # Mean losses of the last two epochs, the last one first; NaN where unknown.
        self.register_buffer("previous_means", torch.full((2, count), float("nan")))

    def forward(self, losses: TaskLosses) -> Tensor:
        self.loss_sum += losses.values.detach() * losses.active
        self.loss_steps += losses.active
        return (self.last_weights * losses.values).sum()

    def end_epoch(self) -> None:
        means = self.loss_sum / self.loss_steps  # NaN for a task without labels
        self.previous_means = torch.stack([means, self.previous_means[0]])
        self.loss_sum.zero_()
        self.loss_steps.zero_()
        ratio = (self.previous_means[0] / self.previous_means[1]).nan_to_num(1.0, 1.0, 1.0)
        self.last_weights = len(self.tasks) * torch.softmax(ratio / self.temperature, dim=0)
