"""Multi-objective gradients with double sampling."""

from __future__ import annotations

import torch
from torch import Tensor

from jlrun.objective.weightings.base import GradientWeighting, TaskGradients
from jlrun.objective.weightings.simplex import project_to_simplex, step_on_simplex
from jlrun.ranges import NonNegativeFloat, PositiveFloat


class MoDo(GradientWeighting):
    """Weights that descend slowly to those of the least norm, without bias from the sampling.

    λ ← Π(λ − γ (J₁ J₂ᵀ + ρ I) λ) on the simplex, with the Jacobians of the two halves of the batch;
    the update is Jᵀλ with that of the whole batch. λ sums to 1.

    Chen et al., "Three-Way Trade-Off in Multi-Objective Learning: Optimization, Generalization and
    Conflict-Avoidance", NeurIPS 2023 and JMLR 2024, eq. (2.9), with the defaults of LibMTL. Differs
    from it in: the two samples are halves of one batch; an inactive task keeps its λ_i.

    Args:
        tasks: names of the tasks.
        gamma: γ, step size of the weights.
        rho: ρ, ℓ2 regularisation of the weights.
    """

    sources = ("parameters",)
    num_samples = 2

    def __init__(
        self,
        tasks: tuple[str, ...],
        gamma: PositiveFloat = 1e-3,
        rho: NonNegativeFloat = 0.1,
    ) -> None:
        super().__init__(tasks)
        self.gamma, self.rho = gamma, rho
        self.weights: Tensor
        self.register_buffer("weights", torch.full((len(tasks),), 1 / len(tasks)))

    def forward(self, gradients: TaskGradients) -> Tensor:
        first, second = gradients.samples
        weights = step_on_simplex(
            self.weights, gradients.active, first @ second.T, self._next_weights
        )
        self.last_weights = weights.to(self.last_weights)
        return weights.to(gradients.jacobian) @ gradients.jacobian

    def _next_weights(self, weights: Tensor, products: Tensor) -> Tensor:
        slope = products @ weights + self.rho * weights
        return project_to_simplex(weights - self.gamma * slope)
