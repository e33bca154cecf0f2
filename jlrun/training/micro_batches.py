"""Micro-batches of a training step, and how many labelled rows they have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.training.plan import Phase

MicroBatch = Mapping[str, Batch]


@dataclass(frozen=True)
class Counts:
    """Numbers of labelled rows on the device.  (T objectives)

    Attributes:
        rows: ``(T,)`` float32.
        at_least_one: ``(T,)``, the same where it is not 0, and 1 there.
        active: Bool ``(T,)``: where it is not 0.
    """

    rows: Tensor
    at_least_one: Tensor
    active: Tensor


@lru_cache(maxsize=64)  # nearly all steps have as many rows as the one before
def counts_on(rows: tuple[int, ...], device: torch.device) -> Counts:
    """Return numbers of rows on ``device``; nobody may change them."""
    found = torch.tensor(rows, dtype=torch.float32, device=device)
    return Counts(found, found.clamp(min=1), found > 0)


def count_labelled(phase: Phase, batches: MicroBatch) -> tuple[int, ...]:
    """Return how many labelled rows each objective of ``phase`` has in ``batches``."""
    counts = []
    for objective in phase.objectives:
        batch = batches.get(objective.stream)
        mask = None if batch is None else batch.labelled.get(objective.spec.column)
        rows = 0 if batch is None else batch.size
        counts.append(rows if mask is None else int(mask.sum()))
    return tuple(counts)


def split(batches: MicroBatch, count: int) -> tuple[MicroBatch, ...]:
    """Return ``count`` equal shares of the rows; fewer if rows are few."""
    if count == 1:
        return (batches,)
    chunks = {name: batch.chunks(count) for name, batch in batches.items()}
    longest = max(len(pieces) for pieces in chunks.values())
    return tuple(
        {name: pieces[i] for name, pieces in chunks.items() if i < len(pieces)}
        for i in range(longest)
    )
