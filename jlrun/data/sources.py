"""Sources of a stream's raw batches: device memory, or files decoded on demand."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from jlrun.data.batch import Batch
from jlrun.data.rows import Rows
from jlrun.errors import Problem, UserError

Columns = dict[str, dict[str, Tensor]]
_ROWS_PER_FETCH = 256
_NO_DEFAULT_SEED = 0


class Source(Protocol):
    """Yields the raw rows at given indices, on the device, in the order of the indices."""

    def batches(self, indices: Iterable[Tensor]) -> Iterator[Batch]:
        """Yield the batch of each tensor of row indices."""
        ...


class MemorySource:
    """All rows, fetched once and kept on the device.

    Args:
        rows: of the data set.
        device: of the batches.
        channels_last: modalities whose images are kept in this memory format.
    """

    def __init__(self, rows: Rows, device: torch.device, channels_last: Sequence[str] = ()) -> None:
        self._batch = load_all(rows, device, channels_last)
        self._device = device

    def batches(self, indices: Iterable[Tensor]) -> Iterator[Batch]:
        """Yield a batch for each index tensor of shape ``(B,)``."""
        return map(self.rows_at, indices)

    def rows_at(self, index: Tensor) -> Batch:
        """Return the batch of rows at ``index``, of shape ``(B,)``."""
        return self._batch.select(index.to(self._device, non_blocking=True))

    @property
    def without_inputs(self) -> Batch:
        """All rows but for their inputs."""
        return replace(self._batch, inputs={})

    @property
    def only_inputs(self) -> Batch:
        """The inputs of all rows."""
        return Batch(self._batch.inputs)


class FetchingSource:
    """Rows fetched anew for every batch, in ``workers`` processes (0: in this one)."""

    def __init__(self, rows: Rows, device: torch.device, workers: int) -> None:
        self._rows = _WholeBatches(rows)
        self._device = device
        self._workers = min(workers, available_cpus())

    def batches(self, indices: Iterable[Tensor]) -> Iterator[Batch]:
        """Yield a batch for each index tensor of shape ``(B,)``.

        Raises:
            UserError: as raised in a worker.
        """
        loader = DataLoader(
            self._rows,
            batch_size=None,
            sampler=indices,
            num_workers=self._workers,
            pin_memory=self._device.type == "cuda",
            # Without this generator a loader draws from the global one.
            generator=torch.Generator().manual_seed(_NO_DEFAULT_SEED),
        )
        with warnings.catch_warnings():
            # Python 3.12 warns of forks in processes with threads; workers use none of them.
            warnings.filterwarnings("ignore", ".*use of fork.*", DeprecationWarning)
            iterator = iter(loader)
        try:
            for fetched in iterator:
                if isinstance(fetched, list):
                    raise UserError([Problem(where, message) for where, message in fetched])
                yield _batch(fetched).to(self._device)
        finally:
            # The last reference ends the workers.
            del iterator


class _WholeBatches(Dataset[Any]):
    """Map-style data set: index tensor -> columns of a batch, or the problems that prevent it.

    A loader re-raises a worker's exception with a traceback as its message: problems are returned.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def __getitem__(self, index: Tensor) -> Columns | list[tuple[str, str]]:
        try:
            return _columns(self._rows.fetch(index))
        except UserError as error:
            return [(problem.where, problem.message) for problem in error.problems]


def load_all(rows: Rows, device: torch.device, channels_last: Sequence[str] = ()) -> Batch:
    """Fetch all rows, in threads, into tensors on the device; at no time are there two copies."""
    count = len(rows)
    chunks = torch.arange(count).split(_ROWS_PER_FETCH)
    columns: Columns = {}
    with ThreadPoolExecutor(available_cpus()) as pool:
        for index, batch in zip(chunks, pool.map(rows.fetch, chunks), strict=True):
            start, stop = int(index[0]), int(index[-1]) + 1
            for group, values in _columns(batch).items():
                stored = columns.setdefault(group, {})
                for name, x in values.items():
                    if name not in stored:
                        shape = (count, *x.shape[1:])
                        chosen = group == "inputs" and name in channels_last
                        layout = torch.channels_last if chosen else torch.contiguous_format
                        stored[name] = torch.empty(
                            shape, dtype=x.dtype, device=device, memory_format=layout
                        )
                    stored[name][start:stop] = x
    return _batch(columns)


def _columns(batch: Batch) -> Columns:
    return {
        "inputs": dict(batch.inputs),
        "targets": dict(batch.targets),
        "present": dict(batch.present),
        "labelled": dict(batch.labelled),
    }


def _batch(columns: Columns) -> Batch:
    return Batch(columns["inputs"], columns["targets"], columns["present"], columns["labelled"])


def available_cpus() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
