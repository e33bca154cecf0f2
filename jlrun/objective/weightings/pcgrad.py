"""Projecting conflicting gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from jlrun.objective.weightings.base import GramianWeighting


class PCGrad(GramianWeighting):
    """Sum of task gradients, each projected onto the normal plane of those it conflicts with.

    Yu et al., "Gradient Surgery for Multi-Task Learning", NeurIPS 2020, algorithm 1. Everything
    happens in the span of the task gradients, so only their Gramian is needed. Differs from it in:
    nothing.

    Args:
        tasks: names of the tasks.
    """

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        return pcgrad_weights(gramian)


def pcgrad_weights(gramian: Tensor) -> Tensor:
    """Return w ``(T,)`` such that PCGrad's update is Σ_i w_i g_i.

    The order of projections is drawn from PyTorch's global generator on the CPU. Lists, because
    T² steps on a few numbers each are slower on tensors.

    Args:
        gramian: G = [g_i·g_j], ``(T, T)``.
    """
    g = gramian.tolist()
    weights = [1.0] * len(g)
    for i in range(len(g)):
        inner = g[i]  # g'_i · g_j for each j
        for j in torch.randperm(len(g)).tolist():
            if j == i or inner[j] >= 0 or g[j][j] <= 0:
                continue
            gain = -inner[j] / g[j][j]
            weights[j] += gain
            inner = [value + gain * other for value, other in zip(inner, g[j], strict=True)]
    return torch.tensor(weights, dtype=gramian.dtype)
