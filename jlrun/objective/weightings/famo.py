"""Fast adaptive multitask optimization."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Literal

import torch
from torch import Tensor

from jlrun.errors import UserError, did_you_mean
from jlrun.objective.weightings.base import EPSILON, LossWeighting, TaskLosses
from jlrun.objective.weightings.simplex import masked_softmax
from jlrun.objective.weightings.state import TaskAdam
from jlrun.ranges import NonNegativeFloat, PositiveFloat

# ξ logits of the tasks, z = softmax(ξ), b lower bounds, D = L − b + ε, δ what a step gained:
# log D before it − log D after it.


class FAMO(LossWeighting):
    """Weights under which the losses of all tasks fall at the same relative rate.

    Minimises c Σ_i z_i log D_i with c = 1 / Σ_i (z_i / D_i) held constant: the weights c z_i / D_i
    sum to 1. After the step ξ follows (∂z/∂ξ)ᵀ δ by Adam with weight decay γ, which takes weight
    from the tasks that gained most.

    Liu et al., "FAMO: Fast Adaptive Multitask Optimization", NeurIPS 2023, algorithm 1. Differs
    from it in: Adam instead of plain gradient descent on ξ, as in the authors' code; lower bounds
    are the user's; z is over the tasks with labels in the step, and the ξ_i of the others rest;
    the option ``next_batch``. Losses below their bound have no logarithm and stop the run.

    Args:
        tasks: names of the tasks.
        lr: learning rate of ξ.
        gamma: γ, weight decay of ξ; the paper has 1e-3, the authors' scripts 1e-5.
        lookahead: where δ's second loss comes from: the ``same_batch`` after the step, for which a
            forward pass more is done, or the ``next_batch``, which costs nothing but mixes the
            difference of batches into δ.
        lower_bounds: task -> b, a bound that its loss never falls below; 0 without an entry.
    """

    def __init__(
        self,
        tasks: tuple[str, ...],
        lr: PositiveFloat = 0.025,
        gamma: NonNegativeFloat = 1e-3,
        lookahead: Literal["same_batch", "next_batch"] = "same_batch",
        lower_bounds: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(tasks)
        self.lookahead = lookahead
        self._bounds = dict(lower_bounds or {})
        self.adam = TaskAdam(len(tasks), lr, weight_decay=gamma)
        self.logits: Tensor
        self.bounds: Tensor
        self.before: Tensor
        self.seen: Tensor
        bounds = [float(self._bounds.get(task, 0.0)) for task in tasks]
        self.register_buffer("bounds", torch.tensor(bounds), persistent=False)
        self.register_buffer("logits", torch.zeros(len(tasks)))
        # D of the last step, and the tasks that had labels in it.
        self.register_buffer("before", torch.ones(len(tasks)))
        self.register_buffer("seen", torch.zeros(len(tasks), dtype=torch.bool))

    def check(self, known: Collection[str]) -> None:
        """Check that bounds are of tasks."""
        for name in self._bounds:
            if name not in known:
                raise UserError.of(
                    f"weighting.lower_bounds.{name}",
                    f"there is no such task.{did_you_mean(name, known)}",
                )

    def forward(self, losses: TaskLosses) -> Tensor:
        distance = self._distance(losses.values, losses.active)
        now = distance.detach()
        if self.lookahead == "next_batch":
            self._learn(now, losses.active)
        z = masked_softmax(self.logits, losses.active)
        total = (z / now).sum().clamp(min=torch.finfo(z.dtype).tiny)
        self.last_weights = z / now / total
        self.before, self.seen = now, losses.active.clone()
        return (z / total * distance.log()).sum()

    def after_step(self, recompute: Callable[[], Tensor]) -> None:
        if self.lookahead == "same_batch":
            self._learn(self._distance(recompute(), self.seen), self.seen)

    def _distance(self, losses: Tensor, active: Tensor) -> Tensor:
        """Return D, and 1 for tasks that take no part, ``(T,)``."""
        return torch.where(active, losses - self.bounds.to(losses) + EPSILON, 1.0)

    def _learn(self, after: Tensor, active: Tensor) -> None:
        """Update ξ by (∂z/∂ξ)ᵀ δ over the tasks of both evaluations."""
        both = self.seen & active
        delta = torch.where(both, self.before.log() - after.log(), 0.0)
        z = masked_softmax(self.logits, both)
        self.adam.step(self.logits, z * (delta - (z * delta).sum()), both)
