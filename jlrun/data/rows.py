"""Rows of a data set: indexed access to raw columns, in memory or decoded from files on demand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from jlrun.data.batch import Batch


class Rows(Protocol):
    """Rows that can be fetched by index.

    ``targets`` (and ``labelled``) of all rows are known without decoding any input, so that splits
    can be stratified. Maps of dense tasks may be decoded with the inputs instead: then their column
    is a `deferred_column`. ``num_bytes`` is the size of all that is decoded.
    """

    @property
    def targets(self) -> Mapping[str, Tensor]:
        """Column of targets -> one per row, of a task."""
        ...

    @property
    def labelled(self) -> Mapping[str, Tensor]:
        """Column of targets -> Bool ``(N,)``, the rows that have a label."""
        ...

    @property
    def num_bytes(self) -> int:
        """Memory that all rows take when they are decoded."""
        ...

    def __len__(self) -> int: ...

    def fetch(self, rows: Tensor) -> Batch:
        """Return the raw rows at the indices ``rows`` of shape ``(N,)``, on the CPU."""
        ...


class TensorRows:
    """Rows held in memory.

    Args:
        inputs: modality -> ``(N, ...)``: images uint8 ``(N, C, H, W)``, audio float32 ``(N, L)``,
            text int64 ``(N, T)``.
        targets: task -> ``(N,)`` int64 (class index) or float32 (regression, and 0/1 for binary),
            or ``(N, C)`` float32 for multilabel, or ``(N, H, W)`` and ``(N, C, H, W)`` for maps.
        present: modality -> Bool ``(N,)``, only for modalities with missing rows.
        labelled: task -> Bool ``(N,)``, only for tasks with unlabelled rows.
    """

    def __init__(
        self,
        inputs: Mapping[str, Tensor],
        targets: Mapping[str, Tensor],
        present: Mapping[str, Tensor] | None = None,
        labelled: Mapping[str, Tensor] | None = None,
    ) -> None:
        self._all = Batch(dict(inputs), dict(targets), dict(present or {}), dict(labelled or {}))
        sizes = {len(t) for t in (*inputs.values(), *targets.values())}
        assert len(sizes) == 1, f"columns differ in length: {sorted(sizes)}"

    @property
    def targets(self) -> Mapping[str, Tensor]:
        """Column of targets -> one per row, of a task."""
        return self._all.targets

    @property
    def labelled(self) -> Mapping[str, Tensor]:
        """Column of targets -> Bool ``(N,)``, the rows that have a label."""
        return self._all.labelled

    @property
    def present(self) -> Mapping[str, Tensor]:
        """Modality -> Bool ``(N,)``, of those that some rows lack."""
        return self._all.present

    def shape(self, modality: str) -> tuple[int, ...]:
        """Return the shape of a row of a modality; empty if there is no such modality."""
        found = self._all.inputs.get(modality)
        return () if found is None else tuple(found.shape[1:])

    @property
    def num_bytes(self) -> int:
        """Memory that all rows take when they are decoded."""
        return sum(t.numel() * t.element_size() for t in self._all.inputs.values())

    def __len__(self) -> int:
        return self._all.size

    def fetch(self, rows: Tensor) -> Batch:
        """Return some rows as a batch."""
        return self._all.select(rows)


class FileRows:
    """Rows whose inputs are decoded when fetched.

    Args:
        decode: row index -> modality -> tensor of that row, of the same shape for every row.
        targets: as in `TensorRows`, for all rows; a `deferred_column` for ``decode_targets``.
        row_bytes: size of one decoded row.
        decode_targets: row index -> task -> target of that row, likewise; None if all are known.
        files: row index -> the files that the row is read from, which are checked before training;
            None: not known.
    """

    def __init__(
        self,
        decode: Callable[[int], Mapping[str, Tensor]],
        targets: Mapping[str, Tensor],
        row_bytes: int,
        labelled: Mapping[str, Tensor] | None = None,
        decode_targets: Callable[[int], Mapping[str, Tensor]] | None = None,
        files: Callable[[int], Sequence[str]] | None = None,
    ) -> None:
        self.files = files
        self._decode = decode
        self._decode_targets = decode_targets
        self._targets = dict(targets)
        self._labelled = dict(labelled or {})
        self._row_bytes = row_bytes

    @property
    def targets(self) -> Mapping[str, Tensor]:
        """Column of targets -> one per row, of a task."""
        return self._targets

    @property
    def labelled(self) -> Mapping[str, Tensor]:
        """Column of targets -> Bool ``(N,)``, the rows that have a label."""
        return self._labelled

    @property
    def num_bytes(self) -> int:
        """Memory that all rows take when they are decoded."""
        return self._row_bytes * len(self)

    def __len__(self) -> int:
        return len(next(iter(self._targets.values())))

    def check(self, row: int) -> None:
        """Decode a row.

        Raises:
            UserError: if it can't be decoded.
        """
        self._decode(row)
        if self._decode_targets is not None:
            self._decode_targets(row)

    def fetch(self, rows: Tensor) -> Batch:
        """Return some rows as a batch."""
        targets = {task: y[rows] for task, y in self._targets.items()}
        if self._decode_targets is not None:
            targets |= _stacked(self._decode_targets, rows)
        return Batch(
            inputs=_stacked(self._decode, rows),
            targets=targets,
            labelled={task: mask[rows] for task, mask in self._labelled.items()},
        )


def deferred_column(count: int) -> Tensor:
    """Return the placeholder for targets that are decoded with the inputs, ``(count, 0)``."""
    return torch.empty(count, 0)


def tasks_with_maps(rows: Rows) -> list[str]:
    """Return the tasks whose targets are maps, held in memory or decoded when fetched."""
    return [task for task, y in rows.targets.items() if y.ndim > 2 or y.shape[1:] == (0,)]


def _stacked(decode: Callable[[int], Mapping[str, Tensor]], rows: Tensor) -> dict[str, Tensor]:
    decoded = [decode(int(row)) for row in rows]
    return {name: torch.stack([row[name] for row in decoded]) for name in decoded[0]}


@dataclass(frozen=True)
class NamedRows:
    """Rows to predict, with their names.

    Attributes:
        names: a file name or a row number for each row.
        rows: the inputs as the model takes them, before normalisation.
        skipped: a line on each input that was left out because it can't be read.
    """

    names: tuple[str, ...]
    rows: Rows
    skipped: tuple[str, ...] = ()
