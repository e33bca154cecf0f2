"""The loss of an objective on the rows that are labelled for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from jlrun.data.batch import Batch

if TYPE_CHECKING:
    from jlrun.tasks.objective import Objective


def objective_loss(objective: Objective, logits: Tensor, batch: Batch) -> tuple[Tensor, int]:
    """Return the sum of the losses of labelled rows, a scalar, and their number.

    Without a labelled row the loss is 0 and has no gradient. A mixed row's loss is that of its two
    targets, in the shares in which it was mixed. Logits ``(B, M, outputs)`` of M members of an
    ensemble (`jlrun.models.heads.EnsembleHead`) yield the mean of their losses.
    """
    name = objective.spec.column
    target, logits = batch.targets[name], logits.float()
    rows = batch.labelled.get(name)
    weight, other = batch.mix_weight, batch.mixed_targets.get(name)
    if rows is not None:
        logits, target = logits[rows], target[rows]
        weight = None if weight is None else weight[rows]
        other = None if other is None else other[rows]
    losses = _losses(objective, logits, target)
    if weight is not None and other is not None:
        # A row that nothing was mixed with has a partner without a label, whose target is a
        # placeholder.
        mixed = (weight < 1).view(-1, *[1] * (target.ndim - 1))
        other = torch.where(mixed, other, target)
        losses = weight * losses + (1 - weight) * _losses(objective, logits, other)
    return losses.sum(), len(losses)


def _losses(objective: Objective, logits: Tensor, target: Tensor) -> Tensor:
    """Return the loss of each row, ``(B,)``."""
    task = objective.spec.task
    if task.dense or logits.ndim != 3:
        return task.loss(logits, target)
    count = logits.shape[1]
    losses = task.loss(logits.flatten(0, 1), target.repeat_interleave(count, dim=0))
    return losses.view(-1, count).mean(dim=1)
