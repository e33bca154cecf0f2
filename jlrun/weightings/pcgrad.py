"""Projecting conflicting gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from jlrun.weightings.base import GradientSource, TaskLosses, Weighting


class PCGrad(Weighting):
    """Project each task's gradient onto the normal plane of those it conflicts with, and sum.

    Yu et al., "Gradient Surgery for Multi-Task Learning", NeurIPS 2020, algorithm 1. Everything
    happens in the span of the task gradients, so only their Gramian is needed: the update is
    Σ_i w_i g_i with the w of `pcgrad_weights`. Heads get the gradient of Σ_i w_i L_i too.

    Args:
        tasks: names of the tasks.
        gradients: take task gradients with respect to the shared ``features`` (one pass through
            each head) or the shared ``parameters`` (one pass through the model for each task).
    """

    def __init__(self, tasks: tuple[str, ...], gradients: GradientSource = "features") -> None:
        super().__init__(tasks)
        self.gradients: GradientSource = gradients

    def forward(self, losses: TaskLosses) -> Tensor:
        jacobian = losses.gradients(self.gradients)
        gramian = self.last_gramian = jacobian @ jacobian.T
        weights = pcgrad_weights(gramian.double().cpu(), losses.active.cpu())
        self.last_weights = weights.to(losses.values)
        return (self.last_weights * losses.values).sum()


def pcgrad_weights(gramian: Tensor, active: Tensor) -> Tensor:
    """Return w ``(T,)`` such that PCGrad's update is Σ_i w_i g_i.

    The order of projections is drawn from PyTorch's global generator on the CPU.

    Args:
        gramian: G = [g_i·g_j], ``(T, T)``.
        active: Bool ``(T,)``; tasks that are not active neither project nor are projected on.
    """
    # T tasks; c[i] are the coefficients of task i's projected gradient in the g_j.
    num_tasks = len(gramian)
    c = torch.eye(num_tasks, dtype=gramian.dtype)
    tasks = [i for i in range(num_tasks) if bool(active[i])]
    for i in tasks:
        for j in (int(j) for j in torch.randperm(num_tasks)):
            if j == i or j not in tasks or gramian[j, j] <= 0:
                continue
            inner = c[i] @ gramian[j]
            if inner < 0:
                c[i, j] -= inner / gramian[j, j]
    return c[tasks].sum(dim=0)
