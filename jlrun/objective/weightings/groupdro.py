"""Group DRO: the worst group counts most."""

# T groups, L their losses, q their weights

from __future__ import annotations

import torch
from torch import Tensor

from jlrun.objective.weightings.base import LossWeighting, TaskLosses
from jlrun.objective.weightings.simplex import masked_softmax
from jlrun.ranges import PositiveFloat


class GroupDRO(LossWeighting):
    """Loss Σ_i q_i L_i, with q_i ← q_i exp(η L_i) before each step, and Σ q = 1.

    Sagawa et al., "Distributionally Robust Neural Networks for Group Shifts", ICLR 2020, algorithm
    1. The groups are the phase's losses: one for each source and task. Differs from it in: a group
    without labelled rows in a step keeps its q, and the others count with their share of the rest;
    there is no adjustment of the losses for small groups. Losses of tasks of different kinds are
    compared as they are.

    Args:
        tasks: names of the groups.
        eta: η, step size of the weights.
    """

    def __init__(self, tasks: tuple[str, ...], eta: PositiveFloat = 0.01) -> None:
        super().__init__(tasks)
        self.eta = eta
        self.log_q: Tensor  # of weights that are 0 to a float, q itself would never come back
        equal = torch.ones(len(tasks)) / len(tasks)
        self.register_buffer("log_q", equal.log())
        self.last_weights = equal

    def forward(self, losses: TaskLosses) -> Tensor:
        if bool(losses.active.any()):
            self._reweigh(losses.values.detach().to(self.log_q), losses.active)
        self.last_weights = masked_softmax(self.log_q, losses.active)
        return (self.last_weights.to(losses.values) * losses.values).sum()

    def _reweigh(self, values: Tensor, active: Tensor) -> None:
        """Update q of the active groups, whose sum stays what it was."""
        before = self.log_q[active]
        after = before + self.eta * values[active]
        log_q = self.log_q.clone()
        log_q[active] = after - after.logsumexp(dim=0) + before.logsumexp(dim=0)
        self.log_q = log_q
