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
    targets, in the shares in which it was mixed.
    """
    task, name = objective.spec.task, objective.spec.column
    target, logits = batch.targets[name], logits.float()
    rows = batch.labelled.get(name)
    weight, other = batch.mix_weight, batch.mixed_targets.get(name)
    if rows is not None:
        logits, target = logits[rows], target[rows]
        weight = None if weight is None else weight[rows]
        other = None if other is None else other[rows]
    losses = task.loss(logits, target)
    if weight is not None and other is not None:
        # A row that nothing was mixed with has a partner without a label, whose target is a
        # placeholder.
        mixed = (weight < 1).view(-1, *[1] * (target.ndim - 1))
        other = torch.where(mixed, other, target)
        losses = weight * losses + (1 - weight) * task.loss(logits, other)
    return losses.sum(), len(losses)
