"""Numbers that are not finite: the rows that they come from, and steps that are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.engine import Engine
from jlrun.objective.labelled_rows import objective_loss
from jlrun.ranks.world import World
from jlrun.training.learner import Learner
from jlrun.training.plan import Phase

MOST_ROWS = 5  # that are named


def where_not_finite(
    phase: Phase,
    batches: Mapping[str, Batch],
    world: World,
    step: int,
    learner: Learner | None = None,
    engine: Engine | None = None,
) -> str:
    """Return in words which rows of a step have inputs, targets or losses that are not finite.

    All ranks have the whole batch, and find the same.

    Args:
        phase: of the step.
        batches: stream -> rows of all ranks.
        world: whose ranks pass the rows through the model.
        step: its number in the phase, from 0.
        learner: with the weights of the step; None: they have moved on, losses are not looked at.
        engine: precision of the forward pass.

    Returns:
        Empty if no row stands out.
    """
    for name, batch in batches.items():
        what, bad = _bad_values(batch)
        if not bool(bad.any()) and learner is not None and engine is not None:
            what, bad = "a loss", _bad_losses(phase, name, batch, learner, engine)
        if bool(bad.any()):
            found = bad.nonzero().flatten().tolist()
            more = _more(phase, name, found, batch, world, step)
            return f"{what} of {_rows(found, batch.size)} of '{name}'{more}"
    return ""


def _bad_values(batch: Batch) -> tuple[str, Tensor]:
    """Return which column has values that are not finite, in words, and Bool ``(B,)``, where."""
    none = torch.zeros(batch.size, dtype=torch.bool)
    kinds = (
        ("the input", batch.inputs, batch.present),
        ("the target", batch.targets, batch.labelled),
    )
    for kind, columns, known in kinds:
        for name, column in columns.items():
            if not column.is_floating_point() or not column.numel():
                continue
            bad = ~torch.isfinite(column).reshape(batch.size, -1).all(dim=1).cpu()
            if name in known:
                bad &= known[name].cpu()
            if bool(bad.any()):
                return f"{kind} '{name}'", bad
    return "", none


def _bad_losses(
    phase: Phase, stream: str, batch: Batch, learner: Learner, engine: Engine
) -> Tensor:
    """Return Bool ``(B,)``: rows that have, by themselves, a loss that is not finite."""
    bad = torch.zeros(batch.size, dtype=torch.bool)
    objectives = [o for o in phase.objectives if o.stream == stream]
    if not objectives:
        return bad
    learner.model.eval()
    with torch.no_grad(), engine.autocast():
        outputs = learner.model(batch, phase.heads[stream])
        for objective in objectives:
            logits = outputs.members.get(objective.head, outputs.logits[objective.head])
            for row in range(batch.size):
                loss, _ = objective_loss(objective, logits[row : row + 1], batch.part(row, row + 1))
                bad[row] |= not bool(torch.isfinite(loss))
    return bad


def _rows(found: Sequence[int], size: int) -> str:
    if len(found) == size > 1:
        return "every row"
    shown = ", ".join(map(str, found[:MOST_ROWS]))
    more = f" and {len(found) - MOST_ROWS} others" if len(found) > MOST_ROWS else ""
    return f"row{'s' if len(found) > 1 else ''} {shown}{more} of the batch"


def _more(
    phase: Phase, name: str, found: Sequence[int], batch: Batch, world: World, step: int
) -> str:
    """Return which rows of the training split they are, and on which ranks."""
    told, few = [], found[:MOST_ROWS]
    if len(phase.train) == 1 and len(found) < batch.size:
        index = next(iter(phase.train[name].indices(step, step + 1)))
        if len(index) == batch.size:
            rows = ", ".join(str(int(index[row])) for row in few)
            told.append(f"{rows} of its training split")
    if world.several:
        of = [r for r in range(world.size) if _has(world.bounds(batch.size, r), found)]
        told.append(f"on rank {', '.join(map(str, of))}")
    return f" ({'; '.join(told)})" if told else ""


def _has(bounds: tuple[int, int], rows: Sequence[int]) -> bool:
    return any(bounds[0] <= row < bounds[1] for row in rows)


@dataclass(frozen=True)
class Kept:
    """What a step changes before it is known whether it is finite: buffers.

    Attributes:
        buffers: with a copy of each.
    """

    buffers: Sequence[tuple[Tensor, Tensor]]

    @classmethod
    def of(cls, learner: Learner) -> Kept:
        """Return the buffers as they are."""
        parts = (learner.model, learner.weighting, learner.terms, learner.balance)
        return cls([(buffer, buffer.clone()) for part in parts for buffer in part.buffers()])

    def restore(self, learner: Learner) -> None:
        """Put everything back, as if the step had not been."""
        with torch.no_grad():
            for buffer, before in self.buffers:
                buffer.copy_(before)
        learner.forget_gradients()
        if learner.scaler.is_enabled():
            learner.scaler.update()
