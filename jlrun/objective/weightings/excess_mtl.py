"""Excess risks."""

from __future__ import annotations

import torch
from torch import Tensor

from jlrun.objective.weightings.base import GradientWeighting, TaskGradients
from jlrun.objective.weightings.state import GradientMemory
from jlrun.ranges import PositiveFloat

_EPSILON = 1e-7


class ExcessMTL(GradientWeighting):
    """Weights by how far a task's loss is above the least it can be, estimated from gradients.

    With S_i the sum of g_i² over the steps, one for each coordinate, the excess risk of a task is
    e_i = Σ_n g_in² / √(S_in + ε), relative to its first value. Then w_i ← w_i exp(η e_i), with the
    sum of the weights kept at T.

    He et al., "Robust Multi-Task Learning with Excess Risks", ICML 2024, eq. (6), (7) and (9).
    Differs from it in: weights sum to T, not 1, as in the authors' code; they stay equal in the
    first step, which only gives the first values; there is no warm-up of epochs. An inactive task
    keeps its state and its weight. The state is of the size of the T task gradients.

    Args:
        tasks: names of the tasks.
        eta: η, step size of the weights.
    """

    sources = ("parameters",)

    def __init__(self, tasks: tuple[str, ...], eta: PositiveFloat = 1e-2) -> None:
        super().__init__(tasks)
        self.eta = eta
        self.squares = GradientMemory(len(tasks))
        self.log_weights: Tensor
        self.first_risks: Tensor
        self.register_buffer("log_weights", torch.zeros(len(tasks)))
        # NaN until the task first has a gradient.
        self.register_buffer("first_risks", torch.full((len(tasks),), float("nan")))

    def forward(self, gradients: TaskGradients) -> Tensor:
        relative = self._relative_risks(gradients.jacobian)
        if bool(gradients.active.any()):
            self._reweigh(relative, gradients.active)
        self.last_weights = self.log_weights.exp()
        return self.last_weights.to(gradients.jacobian) @ gradients.jacobian

    def _relative_risks(self, jacobian: Tensor) -> Tensor:
        """Return e ``(T,)``: 0 for a task whose first value this is, or that has no gradient."""
        squares = jacobian.square()
        total = self.squares.like(jacobian).add_(squares)
        risks = (squares / (total + _EPSILON).sqrt()).sum(dim=1).to(self.first_risks)
        relative = (risks / self.first_risks).nan_to_num(0.0)
        fresh = self.first_risks.isnan() & (risks > 0)
        self.first_risks = torch.where(fresh, risks, self.first_risks)
        return relative

    def _reweigh(self, relative: Tensor, active: Tensor) -> None:
        """Update the weights of the active tasks, whose sum stays what it was."""
        before = self.log_weights[active]
        after = before + self.eta * relative[active]
        self.log_weights[active] = after + before.logsumexp(dim=0) - after.logsumexp(dim=0)
