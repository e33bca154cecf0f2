"""Gradient vaccine."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from jlrun.objective.weightings.base import GramianWeighting, TaskGradients
from jlrun.ranges import Probability

# A target cosine of 1 would ask for an infinite correction.
LARGEST_TARGET = 0.999
# Part of ‖g_i‖² under which corrections have cancelled g'_i: its direction is that of errors.
CANCELLED = 1e-6


class GradVac(GramianWeighting):
    """Turn each task's gradient towards another's until their cosine reaches its average.

    Wang, Tsvetkov, Firat & Cao, "Gradient Vaccine: Investigating and Improving Multi-task
    Optimization in Massively Multilingual Models", ICLR 2021, algorithm 1: where
    φ = cos(g'_i, g_j) is below its target φ̂_ij, g'_i gains

        ‖g'_i‖ (φ̂ √(1 − φ²) − φ √(1 − φ̂²)) / (‖g_j‖ √(1 − φ̂²)) · g_j,

    and then φ̂_ij ← (1 − β) φ̂_ij + β φ. The update is Σ g'_i. Differs from it in: the gradient is
    taken as a whole, not layer by layer; targets above 0.999 count as 0.999.

    Args:
        tasks: names of the tasks.
        beta: β, the step of the moving averages of cosines.
    """

    def __init__(self, tasks: tuple[str, ...], beta: Probability = 0.01) -> None:
        super().__init__(tasks)
        self.beta = beta
        self.target: Tensor
        self.register_buffer("target", torch.zeros(len(tasks), len(tasks)))
        self._rows: Tensor | None = None

    def forward(self, gradients: TaskGradients) -> Tensor:
        self._rows = gradients.active.nonzero().flatten().to(self.target.device)
        return super().forward(gradients)

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        assert self._rows is not None
        rows, columns = self._rows[:, None], self._rows[None, :]
        target = self.target[rows, columns].tolist()
        weights = gradvac_weights(gramian, target, self.beta)
        self.target[rows, columns] = self.target.new_tensor(target)
        return weights


def gradvac_weights(gramian: Tensor, target: list[list[float]], beta: float) -> Tensor:
    """Return w ``(A,)`` such that the update is Σ_i w_i g_i, and move ``target`` ``(A, A)``.

    The order of corrections is drawn from PyTorch's global generator on the CPU. The cosine with a
    gradient of zero, or one that is cancelled, is not defined: it neither corrects, nor moves
    targets. Lists, because A² steps on a few numbers each are slower on tensors.
    """
    count = len(gramian)
    g = gramian.tolist()
    norms = [math.sqrt(g[i][i]) for i in range(count)]
    weights = [1.0] * count
    for i in range(count):
        inner = g[i]  # g'_i · g_j for each j
        square = g[i][i]  # ‖g'_i‖²
        for j in torch.randperm(count - 1).tolist():
            j += j >= i
            if norms[j] <= 0 or square <= CANCELLED * g[i][i]:
                continue
            length = math.sqrt(square)
            cosine = min(max(inner[j] / (length * norms[j]), -1.0), 1.0)
            goal = min(target[i][j], LARGEST_TARGET)
            if cosine < goal:
                tangent = goal / math.sqrt(1 - goal**2)
                gain = length / norms[j] * (tangent * math.sqrt(1 - cosine**2) - cosine)
                square += gain * (2 * inner[j] + gain * g[j][j])
                inner = [value + gain * other for value, other in zip(inner, g[j], strict=True)]
                weights[j] += gain
            target[i][j] += beta * (cosine - target[i][j])
    return torch.tensor(weights, dtype=gramian.dtype)
