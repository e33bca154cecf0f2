"""Projecting conflicting gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from jlrun.weightings.base import GramianWeighting


class PCGrad(GramianWeighting):
    """Project each task's gradient onto the normal plane of those it conflicts with, and sum.

    Yu et al., "Gradient Surgery for Multi-Task Learning", NeurIPS 2020, algorithm 1. Everything
    happens in the span of the task gradients, so only their Gramian is needed. Differs from it in:
    nothing.

    Args:
        tasks: names of the tasks.
    """

    def weigh(self, gramian: Tensor) -> Tensor:
        return pcgrad_weights(gramian)


def pcgrad_weights(gramian: Tensor) -> Tensor:
    """Return w ``(T,)`` such that PCGrad's update is Σ_i w_i g_i.

    The order of projections is drawn from PyTorch's global generator on the CPU.

    Args:
        gramian: G = [g_i·g_j], ``(T, T)``.
    """
    # T tasks; c[i] are the coefficients of task i's projected gradient in the g_j.
    num_tasks = len(gramian)
    c = torch.eye(num_tasks, dtype=gramian.dtype)
    for i in range(num_tasks):
        for j in torch.randperm(num_tasks).tolist():
            if j == i or gramian[j, j] <= 0:
                continue
            inner = c[i] @ gramian[j]
            if inner < 0:
                c[i, j] -= inner / gramian[j, j]
    return c.sum(dim=0)
