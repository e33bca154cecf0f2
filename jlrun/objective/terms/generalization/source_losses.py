"""Losses of labelled rows, per source."""

from __future__ import annotations

import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.objective.terms.base import StepView
from jlrun.objective.terms.totals import precise
from jlrun.tasks import Task


def row_losses(task: Task, logits: Tensor, batch: Batch, column: str) -> Tensor:
    """Return the losses of the labelled rows, ``(N,)``; N may be 0.

    The loss of a row that was mixed with another one is that of both targets, in their shares.

    Args:
        task: what is learned.
        logits: of all rows of the batch, ``(B, outputs)``.
        batch: with the target.
        column: name of the target.
    """
    rows = batch.labelled.get(column, slice(None))
    z, target = precise(logits)[rows], batch.targets[column][rows]
    losses = task.loss(z, target)
    if batch.mix_weight is None or column not in batch.mixed_targets:
        return losses
    weight = batch.mix_weight[rows]
    # A row that nothing was mixed with has a partner without a label, whose target is a
    # placeholder.
    mixed = (weight < 1).view(-1, *[1] * (target.ndim - 1))
    other = torch.where(mixed, batch.mixed_targets[column][rows], target)
    return weight * losses + (1 - weight) * task.loss(z, other)


def labelled_sources(view: StepView) -> dict[str, dict[str, str]]:
    """Return head -> source stream -> target column, of the sources in the step."""
    found: dict[str, dict[str, str]] = {}
    for stream in view.sources:
        for head, column in view.columns.get(stream, {}).items():
            found.setdefault(head, {})[stream] = column
    return found


def annealed(progress: float, share: float, factor: float) -> float:
    """Return 1 in the first ``share`` of the phase, and ``factor`` after it."""
    return 1.0 if progress < share else factor
