"""Rows of several runs: the batches of a step of all, one after the other."""

# N runs, B rows of a batch

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.data.sampling import All
from jlrun.data.streams import Stream
from jlrun.training.spans import Span

MOST_BYTES = 2**28  # of the rows of all runs, as the models take them


class GatheredRows:
    """Batches that are taken from the rows of all runs at once.

    Rows of streams that are held in memory, and that nothing augments, are made what the models
    take once, and a step is one gathering of each column.

    Args:
        spans: of runs for which `can_gather`.
    """

    def __init__(self, spans: Sequence[Span]) -> None:
        self._all = {
            name: Batch.concatenate(
                [batch for span in spans for batch in span.run.phase.train[name].sweep(4096)]
            )
            for name in spans[0].run.phase.train
        }
        self._indices = {name: list(_indices(spans, name)) for name in self._all}

    def step(self) -> dict[str, Batch]:
        """Return stream -> the batches of the next step, ``(N·B, ...)``."""
        found = {}
        for name, everything in self._all.items():
            rows = torch.cat([next(each) for each in self._indices[name]])
            found[name] = everything.select(rows)
        return found


def can_gather(spans: Sequence[Span]) -> bool:
    """Return whether the batches of runs can be gathered from rows in memory."""
    streams = [stream for span in spans for stream in span.run.phase.train.values()]
    size = sum(len(stream.rows) * _row_bytes(stream) for stream in streams)
    return (
        size <= MOST_BYTES
        and all(type(span.run.phase.sampling) is All for span in spans)
        and all(stream.is_plain for stream in streams)
    )


def joined(batches: Sequence[Mapping[str, Batch]]) -> dict[str, Batch]:
    """Return stream -> the batches of N runs, one after the other, ``(N·B, ...)``."""
    return {name: Batch.concatenate([own[name] for own in batches]) for name in batches[0]}


def _indices(spans: Sequence[Span], name: str) -> Iterator[Iterator[Tensor]]:
    """Yield for each run the rows of its batches, from where it is, in the rows of all."""
    first = 0
    for span in spans:
        phase, stream = span.run.phase, span.run.phase.train[name]
        indices = stream.indices(span.run.state.step, phase.num_steps)
        yield map(partial(torch.add, torch.tensor(first)), indices)
        first += len(stream.rows)


def _row_bytes(stream: Stream) -> int:
    batch = next(iter(stream.take(torch.arange(1)).sweep()))
    columns = [*batch.inputs.values(), *batch.targets.values()]
    return sum(column.numel() * column.element_size() for column in columns)
