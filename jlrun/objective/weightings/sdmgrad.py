"""Direction-oriented multi-objective gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from jlrun.objective.weightings.base import GradientWeighting, TaskGradients
from jlrun.objective.weightings.simplex import project_to_simplex, step_on_simplex
from jlrun.ranges import Fraction, NonNegativeFloat, PositiveFloat, PositiveInt

_EPSILON = 1e-8


class SDMGrad(GradientWeighting):
    """Seek the common descent direction that stays near the mean gradient.

    w descends ½ ‖Jᵀ(w + λ w̃)‖² on the simplex, w̃ = 1/T, and the update is Jᵀ(w + λ w̃) / (1 + λ),
    whose weights sum to 1. Products of gradients are without bias if the factors come from
    independent samples: the first two thirds of the batch give A = J₁ J₂ᵀ, in which w takes steps
    with momentum from where it was, along A (w + λ w̃); the last third gives the update.

    Xiao, Ban & Ji, "Direction-oriented Multi-objective Learning: Simple and Provable Stochastic
    Algorithms", NeurIPS 2023, algorithm 1, with the solver of the authors' code: A is divided by
    the squared mean of the roots of its diagonal, negative entries as 0. Differs from it in: the
    three samples are parts of one batch; an inactive task keeps its w_i.

    Args:
        tasks: names of the tasks.
        lamda: λ, how near the direction stays to the mean gradient; 0 is MGDA.
        lr: step size of the solver.
        momentum: of the solver.
        num_iterations: of the solver, in each step.
    """

    sources = ("parameters",)
    num_samples = 3

    def __init__(
        self,
        tasks: tuple[str, ...],
        lamda: NonNegativeFloat = 0.3,
        lr: PositiveFloat = 5.0,
        momentum: Fraction = 0.5,
        num_iterations: PositiveInt = 20,
    ) -> None:
        super().__init__(tasks)
        self.lamda = lamda
        self.lr = lr
        self.momentum = momentum
        self.num_iterations = num_iterations
        self.weights: Tensor
        self.register_buffer("weights", torch.full((len(tasks),), 1 / len(tasks)))

    def forward(self, gradients: TaskGradients) -> Tensor:
        first, second, third = gradients.samples
        w = step_on_simplex(self.weights, gradients.active, first @ second.T, self._solve)
        preferred = gradients.active.to(w)
        preferred = preferred / preferred.sum().clamp_min(1)
        weights = (w + self.lamda * preferred) / (1 + self.lamda)
        self.last_weights = weights.to(self.last_weights)
        return weights.to(third) @ third

    def _solve(self, w: Tensor, products: Tensor) -> Tensor:
        scale = products.diagonal().clamp_min(0).sqrt().mean().square()
        products = products / (scale + _EPSILON)
        velocity = torch.zeros_like(w)
        for _ in range(self.num_iterations):
            velocity = self.momentum * velocity + products @ (w + self.lamda / len(w))
            w = project_to_simplex(w - self.lr * velocity)
        return w
