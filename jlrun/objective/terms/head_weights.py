"""First-layer weights of the tasks' heads on the shared features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from jlrun.errors import UserError, did_you_mean
from jlrun.models.fusions.late import LateHead
from jlrun.models.joint_model import JointModel


def stacked_head_weights(model: nn.Module, heads: Sequence[str] | None) -> list[Tensor]:
    """Return the first layers of heads, those that read the same features stacked.

    One matrix ``(K, D)``: a row for each output (or hidden unit) of each head, a column for each
    shared feature. Under late fusion, one such matrix per modality. Frozen weights are left out.

    Args:
        model: a `JointModel`.
        heads: their names; None means all.
    """
    chosen = {
        name: head
        for name, head in cast(JointModel, model).heads.items()
        if heads is None or name in heads
    }
    by_input: dict[str, list[Tensor]] = {}
    for head in chosen.values():
        parts = head.parts.items() if isinstance(head, LateHead) else [("", head)]
        for part, module in parts:
            first = next((p for p in module.parameters() if p.dim() == 2), None)
            if first is not None and first.requires_grad:
                by_input.setdefault(part, []).append(first)
    return [torch.cat(weights) for weights in by_input.values()]


def check_heads(model: nn.Module, heads: Sequence[str] | None) -> None:
    """Check that the model has the named heads.

    Raises:
        UserError: if it lacks one.
    """
    names = list(cast(JointModel, model).heads)
    for name in heads or ():
        if name not in names:
            raise UserError.of(
                "terms", f"tasks: the model has no head '{name}'.{did_you_mean(name, names)}"
            )
