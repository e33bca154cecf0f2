"""Dual balancing of losses and gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from jlrun.objective.weightings.base import GradientWeighting, TaskGradients
from jlrun.objective.weightings.state import GradientMemory
from jlrun.ranges import Fraction, NonNegativeFloat

_EPSILON = 1e-8


class DBMTL(GradientWeighting):
    """Sum of gradients of log-losses, scaled to the largest of their norms.

    In step k, ĝ_i ← β_k ĝ_i + (1 − β_k) ∇log(L_i + ε) with β_k = β / k^σ, from ĝ_i = 0; the update
    is Σ_i α_i ĝ_i with α_i = max_j ‖ĝ_j‖ / ‖ĝ_i‖.

    Lin et al., "Dual-Balancing for Multi-Task Learning", arXiv 2308.12029, 2023, algorithm 1.
    Differs from it in: β is 0 by default, where they and LibMTL average over steps (0.9), which was
    worse at tuned rates on the four data sets of `docs/evidence.md` and failed in short runs;
    heads follow the gradient of their loss, not of its logarithm, unless they are weighted; a
    negative loss counts by its size; an inactive task keeps its ĝ_i.

    With β = 0 nothing is remembered: then gradients may be taken at the features, and weights be
    used again. Else the state is of the size of the T task gradients.

    Args:
        tasks: names of the tasks.
        beta: β, how much of the average stays in a step; 0.9 as published.
        beta_sigma: σ, how fast that falls with the steps.
    """

    def __init__(
        self,
        tasks: tuple[str, ...],
        beta: Fraction = 0.0,
        beta_sigma: NonNegativeFloat = 0.0,
    ) -> None:
        super().__init__(tasks)
        self.beta, self.beta_sigma = beta, beta_sigma
        if beta > 0:
            self.sources = ("parameters",)
            self.reuses_weights = False
        self.averages = GradientMemory(len(tasks))
        self.steps: Tensor
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, gradients: TaskGradients) -> Tensor:
        jacobian, active = gradients.jacobian, gradients.active
        slopes = active / (gradients.losses.to(jacobian).abs() + _EPSILON)  # of log L_i in L_i
        rows = slopes[:, None] * jacobian
        if self.beta > 0:
            rows = self._averaged(rows, active)
        norms = torch.linalg.vector_norm(rows, dim=1)
        largest = torch.where(active, norms, 0.0).max()
        alpha = torch.where(norms > 0, largest / norms, 1.0) * active
        self.last_weights = (alpha * slopes).to(self.last_weights)
        return alpha @ rows

    def _averaged(self, rows: Tensor, active: Tensor) -> Tensor:
        self.steps += 1
        beta = self.beta / float(self.steps) ** self.beta_sigma
        averages = self.averages.like(rows)
        averages += (1 - beta) * (active[:, None] * (rows - averages))
        return averages
