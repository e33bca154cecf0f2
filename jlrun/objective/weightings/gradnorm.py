"""Gradient normalisation."""

from __future__ import annotations

import torch
from torch import Tensor

from jlrun.objective.weightings.base import GradientWeighting, TaskGradients
from jlrun.objective.weightings.state import TaskAdam
from jlrun.ranges import NonNegativeFloat, PositiveFloat

_EPSILON = 1e-8


class GradNorm(GradientWeighting):
    """Weights that give gradients comparable norms, larger for tasks that lag behind.

    w = T softmax(v); the weighted norms are n_i = w_i ‖g_i‖ with mean n̄; inverse training rates
    are r_i = (L_i / L_i⁰) / mean_j(L_j / L_j⁰), with the first losses L⁰. After each step v
    descends Σ_i |n_i − n̄ r_i^α|, in which the targets n̄ r_i^α are constants.

    Chen et al., "GradNorm: Gradient Normalization for Adaptive Loss Balancing in Deep Multitask
    Networks", ICML 2018, eq. (1)-(2) and algorithm 1. Differs from it in: the softmax keeps weights
    positive with the sum T, where the paper rescales; norms are those of everything that is shared,
    not of its last layer; means are over the active tasks, and an inactive task keeps its v_i.

    Args:
        tasks: names of the tasks.
        alpha: α; larger pulls tasks more strongly to one training rate.
        lr: learning rate of the Adam that trains v.
    """

    def __init__(
        self,
        tasks: tuple[str, ...],
        alpha: NonNegativeFloat = 1.5,
        lr: PositiveFloat = 0.025,
    ) -> None:
        super().__init__(tasks)
        self.alpha = alpha
        self.adam = TaskAdam(len(tasks), lr)
        self.logits: Tensor
        self.first_losses: Tensor
        self.register_buffer("logits", torch.zeros(len(tasks)))
        # NaN until the task is first active.
        self.register_buffer("first_losses", torch.full((len(tasks),), float("nan")))

    def forward(self, gradients: TaskGradients) -> Tensor:
        w = len(self.tasks) * self.logits.softmax(dim=0)
        norms = gradients.gramian.diagonal().clamp_min(0).sqrt().to(w)
        rates = self._rates(gradients.losses.to(w), gradients.active)
        self._train_logits(w * norms, rates, gradients.active)
        self.last_weights = w
        return w.to(gradients.jacobian) @ gradients.jacobian

    def _rates(self, losses: Tensor, active: Tensor) -> Tensor:
        """Return r ``(T,)``, whose mean over the active tasks is 1."""
        losses = losses.clamp_min(0)
        fresh = active & self.first_losses.isnan()
        self.first_losses = torch.where(fresh, losses, self.first_losses)
        ratios = (losses + _EPSILON) / (self.first_losses + _EPSILON)
        return ratios / _mean(ratios, active)

    def _train_logits(self, norms: Tensor, rates: Tensor, active: Tensor) -> None:
        """Descend on v, with ``norms`` n and ``rates`` r of all tasks."""
        targets = _mean(norms, active) * rates**self.alpha
        # ∂n_i/∂v_j = n_i (δ_ij − softmax(v)_j)
        signed = torch.where(active, torch.sign(norms - targets) * norms, 0.0)
        gradient = signed - self.logits.softmax(dim=0) * signed.sum()
        self.adam.step(self.logits, gradient, active)


def _mean(values: Tensor, active: Tensor) -> Tensor:
    return torch.where(active, values, 0.0).sum() / active.sum().clamp_min(1)
