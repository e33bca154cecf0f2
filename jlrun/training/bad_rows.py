"""Rows of a step whose loss is not a finite number, for the line that a run ends with."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.models.joint_model import JointModel
from jlrun.models.module_state import untouched
from jlrun.objective.labelled_rows import row_losses
from jlrun.ranks.world import World
from jlrun.training.plan import Phase

_MOST = 5  # rows that are named


@torch.no_grad()
def bad_rows(model: JointModel, phase: Phase, batches: Mapping[str, Batch], world: World) -> str:
    """Return in words which rows have inputs, outputs or losses that are not finite numbers.

    Nothing is exchanged: every rank looks at all rows.

    Args:
        model: left in evaluation mode, in which no row depends on another one.
        phase: its objectives.
        batches: stream -> batch of the step, of all ranks.
        world: the ranks that the rows are divided among.

    Returns:
        "" if there are none, or all rows are: then it is not of the rows.
    """
    model.eval()
    with untouched(model):
        found = {name: _bad(model, phase, name, batch) for name, batch in batches.items()}
    if not any(bool(bad.any()) for bad in found.values()) or all(map(_all, found.values())):
        return ""
    named = [_named(name, bad, world) for name, bad in found.items() if bool(bad.any())]
    return " and ".join(named)


def _all(bad: Tensor) -> bool:
    return bool(bad.all())


def _bad(model: JointModel, phase: Phase, stream: str, batch: Batch) -> Tensor:
    """Return Bool ``(B,)`` on the CPU."""
    bad = torch.zeros(batch.size, dtype=torch.bool)
    for modality, x in batch.inputs.items():
        present = batch.present.get(modality, torch.ones(batch.size, dtype=torch.bool))
        bad |= _not_finite(x) & present.cpu()
    if bool(bad.any()) or stream not in phase.heads:
        return bad
    outputs = model(batch.to(next(model.parameters()).device), phase.heads[stream])
    for objective in (o for o in phase.objectives if o.stream == stream):
        column, logits = objective.spec.column, outputs.logits[objective.head].float()
        bad |= _not_finite(logits)
        losses = row_losses(objective.spec.task, logits, batch, column)
        everywhere = torch.ones(batch.size, dtype=torch.bool)
        labelled = batch.labelled.get(column, everywhere).cpu().nonzero().flatten()
        bad[labelled] |= _not_finite(losses)
    return bad


def _not_finite(x: Tensor) -> Tensor:
    return ~x.isfinite().flatten(1).all(dim=1).cpu() if x.ndim > 1 else ~x.isfinite().cpu()


def _named(stream: str, bad: Tensor, world: World) -> str:
    rows = bad.nonzero().flatten().tolist()
    ranks = {rank for rank in range(world.size) for row in rows if _has(world, rank, row, bad)}
    more = f" and {len(rows) - _MOST} more" if len(rows) > _MOST else ""
    text = f"row{'s'[: len(rows) > 1]} {', '.join(map(str, rows[:_MOST]))}{more}"
    where = f" (rank {', '.join(map(str, sorted(ranks)))})" if world.several else ""
    return f"{text} of the batch of '{stream}'{where}"


def _has(world: World, rank: int, row: int, bad: Tensor) -> bool:
    first, stop = world.bounds(len(bad), rank)
    return first <= row < stop
