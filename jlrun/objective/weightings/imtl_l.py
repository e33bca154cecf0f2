"""Loss balance of impartial multi-task learning."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from jlrun.objective.weightings.base import LossWeighting, TaskLosses
from jlrun.objective.weightings.positive import positive


class IMTLL(LossWeighting):
    """Minimise Σ e^(s_i) L_i − s_i with learned scales s_i, which draws each e^(s_i) L_i to 1.

    Liu et al., "Towards Impartial Multi-task Learning", ICLR 2021, the loss balance (IMTL-L) with
    base e. Differs from it in: L + 1e-8 stands for L, so that s_i has an optimum, −log L_i, where
    L_i = 0 too; a task without labels in a step adds nothing. Losses must not be negative.

    Args:
        tasks: names of the tasks.
    """

    def __init__(self, tasks: tuple[str, ...]) -> None:
        super().__init__(tasks)
        self.log_scale = nn.Parameter(torch.zeros(len(tasks)))

    def forward(self, losses: TaskLosses) -> Tensor:
        scale = torch.exp(self.log_scale)
        self.last_weights = scale.detach() * losses.active
        return ((scale * positive(losses.values) - self.log_scale) * losses.active).sum()
