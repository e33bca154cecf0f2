"""Labelled rows: their losses, and those that also have a modality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.errors import UserError, check_shape
from jlrun.tasks import Task

if TYPE_CHECKING:
    from jlrun.tasks.objective import Objective


def row_losses(task: Task, logits: Tensor, batch: Batch, column: str) -> Tensor:
    """Return the losses of the labelled rows, ``(N,)``; N may be 0.

    The loss of a row that was mixed with another one is that of both targets, in their shares.

    Args:
        task: what is learned.
        logits: of all rows of the batch, ``(B, outputs)``, float32 or float64; ``(B, M, outputs)``
            of M members of an ensemble (`jlrun.models.heads.EnsembleHead`), whose mean loss counts.
        batch: with the target.
        column: name of the target.
    """
    z, target = logits, batch.targets[column]
    if column in batch.labelled:
        z, target = z[batch.labelled[column]], target[batch.labelled[column]]
    losses = _losses(task, z, target)
    check_shape(f"tasks.{column}", task, losses, (target.shape[0],))
    if batch.mix_weight is None or column not in batch.mixed_targets:
        return losses
    rows = batch.labelled.get(column, slice(None))
    weight = batch.mix_weight[rows]
    # A row that nothing was mixed with has a partner without a label, whose target is a
    # placeholder.
    mixed = (weight < 1).view(-1, *[1] * (target.ndim - 1))
    other = torch.where(mixed, batch.mixed_targets[column][rows], target)
    return weight * losses + (1 - weight) * _losses(task, z, other)


def _losses(task: Task, logits: Tensor, target: Tensor) -> Tensor:
    if task.dense or logits.ndim != 3:
        return task.loss(logits, target)
    count = logits.shape[1]
    losses = task.loss(logits.flatten(0, 1), target.repeat_interleave(count, dim=0))
    return losses.view(-1, count).mean(dim=1)


def objective_loss(objective: Objective, logits: Tensor, batch: Batch) -> tuple[Tensor, int]:
    """Return the sum of the losses of labelled rows, a scalar, and their number.

    Without a labelled row the loss is 0 and has no gradient.

    Raises:
        UserError: if the head or the task returns something of another shape than it must.
    """
    spec = objective.spec
    outputs = 2 if logits.ndim == 3 and not spec.task.dense else 1  # after rows and members
    if logits.shape[outputs : outputs + 1] != (spec.num_outputs,):
        raise UserError.of(
            "heads",
            f"the head of '{spec.name}' yields logits of shape {tuple(logits.shape)}, and the task "
            f"takes {spec.num_outputs} for each row",
        )
    losses = row_losses(spec.task, logits.float(), batch, spec.column)
    return losses.sum(), losses.shape[0]


def usable(objective: Objective, batch: Batch, modality: str) -> Tensor:
    """Return Bool ``(B,)``: the rows that have the modality and a label of the objective."""
    column = objective.spec.column
    everywhere = batch.targets[column].new_ones(batch.size, dtype=torch.bool)
    labelled = batch.labelled.get(column, everywhere)
    return labelled & batch.present.get(modality, everywhere)


def narrowed(objective: Objective, batch: Batch, modality: str) -> Batch:
    """Return the batch with labels of the objective in `usable` rows only."""
    mask = usable(objective, batch, modality)
    return replace(batch, labelled={**batch.labelled, objective.spec.column: mask})


def num_usable(
    objectives: Sequence[Objective], modalities: Sequence[str], batches: Mapping[str, Batch]
) -> Tensor:
    """Return the number of `usable` rows, float32 ``(M, K)``; 0 for streams without a batch."""
    zero = next(iter(next(iter(batches.values())).inputs.values())).new_zeros(())
    rows = [
        [usable(o, batches[o.stream], m).sum() if o.stream in batches else zero for o in objectives]
        for m in modalities
    ]
    return torch.stack([torch.stack([n.float() for n in row]) for row in rows])
