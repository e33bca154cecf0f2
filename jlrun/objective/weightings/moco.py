"""MoCo: gradient correction."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from jlrun.objective.weightings.base import GradientWeighting, TaskGradients
from jlrun.objective.weightings.simplex import project_to_simplex, step_on_simplex
from jlrun.objective.weightings.state import GradientMemory
from jlrun.ranges import NonNegativeFloat, PositiveFloat, Probability

_EPSILON = 1e-8


class MoCo(GradientWeighting):
    """Track task gradients over the steps; weights follow the tracked gradients.

    In step k, y_i ← y_i − β_k (y_i − h_i) and λ ← Π(λ − γ_k (Y Yᵀ + ρ I) λ), with rows y_i of Y;
    the update is Yᵀλ. β_k = β / k^σ_β and γ_k = γ / k^σ_γ. λ sums to 1.

    Fernando et al., "Mitigating Gradient Bias in Multi-objective Learning: A Provably Convergent
    Approach", ICLR 2023, algorithm 1. Defaults are those of the authors' code, as in LibMTL: there
    h_i is the gradient scaled to the norm |L_i| and Π the softmax; in the algorithm they are the
    gradient itself and the projection on the simplex. Differs from it in: y is not projected on a
    ball; an inactive task keeps its y_i and λ_i. The state is of the size of the T task gradients.

    Args:
        tasks: names of the tasks.
        beta: β, rate of the tracking.
        beta_sigma: σ_β, its decay.
        gamma: γ, step size of the weights.
        gamma_sigma: σ_γ, its decay.
        rho: ρ, ℓ2 regularisation of the weights.
        normalize: whether a gradient is scaled to the norm of its loss.
        projection: Π.
    """

    sources = ("parameters",)
    reuses_weights = False

    def __init__(
        self,
        tasks: tuple[str, ...],
        beta: Probability = 0.5,
        beta_sigma: NonNegativeFloat = 0.5,
        gamma: PositiveFloat = 0.1,
        gamma_sigma: NonNegativeFloat = 0.5,
        rho: NonNegativeFloat = 0.0,
        normalize: bool = True,
        projection: Literal["softmax", "simplex"] = "softmax",
    ) -> None:
        super().__init__(tasks)
        self.beta, self.beta_sigma = beta, beta_sigma
        self.gamma, self.gamma_sigma = gamma, gamma_sigma
        self.rho = rho
        self.normalize = normalize
        self.projection = projection
        self.tracked = GradientMemory(len(tasks))
        self.weights: Tensor
        self.steps: Tensor
        self.register_buffer("weights", torch.full((len(tasks),), 1 / len(tasks)))
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, gradients: TaskGradients) -> Tensor:
        self.steps += 1
        y = self._track(gradients)
        weights = step_on_simplex(self.weights, gradients.active, y @ y.T, self._next_weights)
        self.last_weights = weights.to(self.last_weights)
        return weights.to(y) @ y

    def _track(self, gradients: TaskGradients) -> Tensor:
        """Return the tracked gradients ``(T, N)`` after this step's."""
        h = gradients.jacobian
        if self.normalize:
            norms = torch.linalg.vector_norm(h, dim=1) + _EPSILON
            h = (gradients.losses.abs().to(h) / norms)[:, None] * h
        y = self.tracked.like(h)
        beta = self.beta / float(self.steps) ** self.beta_sigma
        y += beta * (gradients.active[:, None] * (h - y))
        return y

    def _next_weights(self, weights: Tensor, gramian: Tensor) -> Tensor:
        gamma = self.gamma / float(self.steps) ** self.gamma_sigma
        point = weights - gamma * (gramian @ weights + self.rho * weights)
        return point.softmax(dim=0) if self.projection == "softmax" else project_to_simplex(point)
