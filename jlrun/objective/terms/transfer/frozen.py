"""Frozen copies of a model: as it was when a phase began, or as a moving average of it."""

from __future__ import annotations

from collections.abc import Collection
from copy import deepcopy

import torch
from torch import nn

from jlrun.data.batch import Batch
from jlrun.models.joint_model import JointModel, Outputs
from jlrun.objective.terms.base import TARGET, PhaseStart


class FrozenModel(nn.Module):
    """Copy of a model that neither trains nor leaves evaluation mode.

    Its weights are state: a resumed phase begins with other ones, and restores these.

    Args:
        model: copied as it is now.
    """

    def __init__(self, model: JointModel) -> None:
        super().__init__()
        self.model = deepcopy(model).requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> FrozenModel:
        """Stay in evaluation mode, whatever mode the parent module is put in."""
        return super().train(False)

    def forward(self, batch: Batch, heads: Collection[str] | None = None) -> Outputs:
        """Return the outputs of the named heads (or all), without a graph."""
        with torch.no_grad():
            return self.model(in_precision_of(self.model, batch), heads)


def in_precision_of(model: nn.Module, batch: Batch) -> Batch:
    """Return the inputs of a batch in the floating-point type of a model."""
    dtype = next(model.parameters()).dtype
    inputs = {m: x.to(dtype) if x.is_floating_point() else x for m, x in batch.inputs.items()}
    return Batch(inputs=inputs, present=batch.present)


def own_source_heads(start: PhaseStart) -> tuple[str, ...]:
    """Return the heads that are computed on the target, but belong to no task of it.

    The head of a target task is called as the task is, that of a source alone
    ``source_<task>`` or, among several sources, ``<name>_<task>``.
    """
    return tuple(
        head
        for head in start.observed.get(TARGET, ())
        if head != start.tasks[head].name.replace(".", "/")  # names of modules have no dots
    )


@torch.no_grad()
def follow(own: nn.Module, copied: nn.Module, momentum: float) -> None:
    """Move the copy's parameters towards those of ``own``, ξ ← τ ξ + (1 − τ) θ; take its buffers.

    Args:
        own: what is trained, θ.
        copied: of the same form, ξ.
        momentum: τ, from 0 to 1.
    """
    for new, old in zip(own.parameters(), copied.parameters(), strict=True):
        old.lerp_(new, 1 - momentum)
    for new, old in zip(own.buffers(), copied.buffers(), strict=True):
        old.copy_(new)
