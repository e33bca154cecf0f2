"""Inter-task affinity: how a step on one task changes the losses of the others.

Inter-task affinity of Fifty, Amid, Zhao, Yu, Anil & Finn, "Efficiently Identifying Task Groupings
for Multi-Task Learning" (TAG), NeurIPS 2021, eq. (1):

    Z_{i→j} = 1 − L_j(θ − η ∇_θ L_i) / L_j(θ)

θ are the shared parameters, all others stay as they are; both losses are of the same batch under
the same random numbers. Positive: a step on task i alone lowers the loss of task j. The step is one
of plain gradient descent at the current learning rate whatever the optimizer, as the paper defines
it. Differs from it in: nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from jlrun.seeding import preserved_randomness
from jlrun.training.diagnosis.gradients import mean_losses
from jlrun.training.forward import StepForward


def affinities(
    step: StepForward, shared: Sequence[nn.Parameter], jacobian: Tensor, losses: Tensor
) -> Tensor:
    """Return Z ``(T, T)`` float64 on the CPU, from row to column.

    Not finite for tasks without a labelled row in the step, and for losses of 0.

    Args:
        step: the forward passes.
        shared: θ, each of which moves at its learning rate in the optimizer.
        jacobian: ∇_θ L_i ``(T, N)``.
        losses: L_j(θ) ``(T,)``, under the random numbers that are next.
    """
    rates = learning_rates(step.learner.optimizer, shared)
    rows = []
    for gradient in jacobian:
        with _stepped(shared, gradient, rates), preserved_randomness():
            rows.append(1 - mean_losses(step).double() / losses.double())
    affinity = torch.stack(rows).cpu()
    affinity[step.num_labelled.cpu() == 0] = torch.nan  # a task without labels takes no step
    return affinity


def learning_rates(optimizer: Optimizer, parameters: Sequence[nn.Parameter]) -> list[float]:
    """Return the current learning rate of each parameter."""
    rates = {id(p): float(g["lr"]) for g in optimizer.param_groups for p in g["params"]}
    return [rates[id(parameter)] for parameter in parameters]


@contextmanager
def _stepped(
    parameters: Sequence[nn.Parameter], gradient: Tensor, rates: Sequence[float]
) -> Iterator[None]:
    """Move the parameters against ``gradient (N,)``; afterwards they are exactly what they were."""
    before = [parameter.detach().clone() for parameter in parameters]
    pieces = gradient.split([parameter.numel() for parameter in parameters])
    with torch.no_grad():
        for parameter, piece, rate in zip(parameters, pieces, rates, strict=True):
            parameter.sub_(piece.view(parameter.shape), alpha=rate)
        try:
            yield
        finally:
            for parameter, value in zip(parameters, before, strict=True):
                parameter.copy_(value)
