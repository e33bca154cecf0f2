"""Usable rows: those with a modality and a label of the task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from jlrun.data.batch import Batch

if TYPE_CHECKING:
    from jlrun.tasks.objective import Objective


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
