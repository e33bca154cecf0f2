"""Task gradients, read without touching ``.grad`` of anything."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from jlrun.models.joint_model import JointModel
from jlrun.objective.balance.encoder_gradients import flat
from jlrun.training.forward import StepForward

# T tasks, N shared parameters, B rows, D features


def shared_parameters(model: JointModel) -> tuple[nn.Parameter, ...]:
    """Return the parameters that several tasks train, without frozen ones."""
    return tuple(p for p in model.body.shared_parameters() if p.requires_grad)


def by_parameters(step: StepForward, shared: Sequence[nn.Parameter]) -> tuple[Tensor, Tensor]:
    """Return the task gradients ``(T, N)`` and the losses ``(T,)`` without their scales."""
    count = len(step.phase.objectives)
    rows = shared[0].new_zeros(count, sum(p.numel() for p in shared))
    losses = torch.zeros_like(step.num_labelled)
    for micro_batch in step.micro_batches:
        found = step.run(micro_batch)
        for row, loss in zip(rows, found.singles, strict=True):
            row += _flat_gradient(loss, shared)
        losses += found.row_sums
    return rows, losses / step.num_labelled.clamp(min=1)


def by_features(step: StepForward) -> Tensor:
    """Return the task gradients ``(T, B·D)`` at the fused features, where the graph can be cut."""
    pieces = []
    for micro_batch in step.micro_batches:
        found = step.run(micro_batch, cut=True)
        assert found.cut is not None
        pairs = zip(found.singles, found.cut.leaves, strict=True)
        pieces.append(torch.stack([_flat_gradient(loss, (leaf,)) for loss, leaf in pairs]))
    return torch.cat(pieces, dim=1)


def mean_losses(step: StepForward) -> Tensor:
    """Return the losses ``(T,)`` without their scales, under the parameters as they are now."""
    total = torch.zeros_like(step.num_labelled)
    with torch.no_grad():
        for micro_batch in step.micro_batches:
            found = step.run(micro_batch)
            total += found.row_sums
    return total / step.num_labelled.clamp(min=1)


def _flat_gradient(loss: Tensor, inputs: Sequence[Tensor]) -> Tensor:
    if not loss.requires_grad:
        return flat([None] * len(inputs), inputs)
    return flat(torch.autograd.grad(loss, inputs, retain_graph=True, allow_unused=True), inputs)
