"""Auto-Lambda: auxiliary tasks weighed by their effect on the primary ones."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from jlrun.errors import UserError, did_you_mean
from jlrun.objective.weightings.base import GradientWeighting, TaskGradients
from jlrun.objective.weightings.state import TaskAdam
from jlrun.ranges import NonNegativeFloat, PositiveFloat


class AutoLambda(GradientWeighting):
    """Learned weights under which a training step lowers the primary tasks' losses on other rows.

    After a step θ' = θ − η Σ_i λ_i ∇L_i on one half of the batch, the primary tasks' loss on the
    other half changes with λ_i at the rate −η ⟨∇L_i(first), Σ_primary ∇L_j(second)⟩. Adam follows
    this rate, and the update is Σ_i λ_i g_i with the gradients of the whole batch.

    Liu et al., "Auto-Lambda: Disentangling Dynamic Task Relationships", TMLR 2022.
    Differs from it in: the second gradient is taken at θ, not at θ', which is right to first order
    in η and costs no second model; then η only scales the rate, to which Adam is blind, and is left
    out. Both halves are training rows of one batch, where the paper draws a second batch. Only
    shared parameters count. λ_i stays at least 0, and that of an inactive task stays what it is.
    Where a phase has none of the primary tasks, weights do not change.

    Args:
        tasks: names of the tasks.
        primary: the tasks that count; none means all of them.
        initial: λ_i at the start.
        meta_lr: learning rate of the Adam that trains λ.
    """

    sources = ("parameters",)
    num_samples = 2

    def __init__(
        self,
        tasks: tuple[str, ...],
        primary: Sequence[str] = (),
        initial: NonNegativeFloat = 0.1,
        meta_lr: PositiveFloat = 1e-4,
    ) -> None:
        super().__init__(tasks)
        self._names = tuple(primary)
        self.adam = TaskAdam(len(tasks), meta_lr)
        self.primary: Tensor
        self.weights: Tensor
        counts = torch.tensor([not primary or task in primary for task in tasks])
        self.register_buffer("primary", counts, persistent=False)
        self.register_buffer("weights", torch.full((len(tasks),), float(initial)))

    def check(self, known: Collection[str]) -> None:
        """Check that the primary tasks exist."""
        for name in self._names:
            if name not in known:
                raise UserError.of(
                    "weighting.primary",
                    f"there is no task '{name}'.{did_you_mean(name, known)}",
                )

    def forward(self, gradients: TaskGradients) -> Tensor:
        first, second = gradients.samples
        hypergradient = -(first @ second[self.primary].sum(dim=0))
        self.adam.step(self.weights, hypergradient, gradients.active)
        self.weights.clamp_(min=0)
        self.last_weights = self.weights.clone()
        return self.weights.to(gradients.jacobian) @ gradients.jacobian
