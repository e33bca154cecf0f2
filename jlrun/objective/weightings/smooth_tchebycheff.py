"""Smooth Tchebycheff scalarization."""

from __future__ import annotations

import torch
from torch import Tensor

from jlrun.objective.weightings.base import EPSILON, LossWeighting, TaskLosses, positive
from jlrun.objective.weightings.simplex import masked_softmax
from jlrun.ranges import NonNegativeInt, PositiveFloat

# n nadir: the losses that progress is measured against, A tasks with labels in the step.


class STCH(LossWeighting):
    """Smooth maximum of the tasks' log-losses relative to a reference.

    A μ log Σ_i exp(log(L_i / n_i) / μ), with n the mean losses of epoch ``warmup_epochs`` + 1. Up
    to the end of that epoch it is Σ_i log L_i that is minimised.

    Lin et al., "Smooth Tchebycheff Scalarization for Multi-Objective Optimization", ICML 2024:
    g(x | λ) = μ log Σ_i exp(λ_i (f_i − z*_i) / μ), in the form its authors' code has for multi-task
    learning: f_i = log(L_i / n_i), λ_i = 1, the ideal point z* = 0, times the number of tasks.
    Differs from it in: L + 1e-8 stands for L, 1e-20 there; a task without labels in the epoch of
    the reference takes it from its first epoch with labels, and counts with L_i / n_i = 1 before.
    Epochs are those of the phase. Losses must not be negative.

    Args:
        tasks: names of the tasks.
        mu: μ; towards 0 the worst task alone counts, towards infinity all log-losses the same.
        warmup_epochs: epochs before that in which the reference is measured.
    """

    def __init__(
        self,
        tasks: tuple[str, ...],
        mu: PositiveFloat = 1.0,
        warmup_epochs: NonNegativeInt = 4,
    ) -> None:
        super().__init__(tasks)
        self.mu, self.warmup_epochs = mu, warmup_epochs
        count = len(tasks)
        self.epochs: Tensor
        self.loss_sum: Tensor
        self.loss_steps: Tensor
        self.nadir: Tensor
        self.register_buffer("epochs", torch.zeros(()))
        self.register_buffer("loss_sum", torch.zeros(count))
        self.register_buffer("loss_steps", torch.zeros(count))
        # NaN where unknown.
        self.register_buffer("nadir", torch.full((count,), float("nan")))

    def forward(self, losses: TaskLosses) -> Tensor:
        active = losses.active
        self.loss_sum += losses.values.detach() * active
        self.loss_steps += active
        shifted = torch.where(active, positive(losses.values), 1.0)
        now = shifted.detach()
        reference = torch.where(self.nadir.isnan(), now, self.nadir + EPSILON)
        progress = (shifted / reference).log() / self.mu
        # A choice on the device: reading the epoch would synchronise in every step.
        warming = self.epochs <= self.warmup_epochs
        share = torch.where(warming, 1.0, active.sum() * masked_softmax(progress.detach(), active))
        self.last_weights = share * active / now
        return torch.where(
            warming, shifted.log().sum(), self.mu * active.sum() * _log_sum_exp(progress, active)
        )

    def end_epoch(self) -> None:
        self.epochs += 1
        means = self.loss_sum / self.loss_steps  # NaN for a task without labels
        unknown = self.nadir.isnan() & (self.epochs > self.warmup_epochs)
        self.nadir = torch.where(unknown, means, self.nadir)
        self.loss_sum.zero_()
        self.loss_steps.zero_()


def _log_sum_exp(values: Tensor, active: Tensor) -> Tensor:
    """Return log Σ exp over active tasks; finite without any, so that 0 times it is 0."""
    return values.masked_fill(~active, torch.finfo(values.dtype).min / 2).logsumexp(dim=0)
