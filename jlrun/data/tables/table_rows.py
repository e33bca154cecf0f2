"""Rows of a table: targets in memory, inputs read from disk when fetched; parts by split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.data.tables.cells import Cells, presences
from jlrun.data.tables.files.bad_rows import BadRow, BadRows
from jlrun.data.tables.files.levels import SPLIT_NAMES
from jlrun.data.tables.files.store import Store


class TableRows:
    """Some rows of a table, in the order of ``rows``.

    Args:
        store: the table.
        rows: positions in the store, int64 ``(N,)``.
        targets: task -> target of each row, ``(N,)`` or ``(N, C)``.
        labelled: task -> Bool ``(N,)``, of tasks with unlabelled rows.
        cells: modality -> its cells; empty until the data set is fitted.
        unused: columns that are not read; they only tell rows from each other.
    """

    def __init__(
        self,
        store: Store,
        rows: np.ndarray,
        targets: Mapping[str, Tensor],
        labelled: Mapping[str, Tensor],
        cells: Mapping[str, Cells] | None = None,
        unused: Sequence[str] = (),
    ) -> None:
        self.store = store
        self.unused = unused
        self.rows = rows
        self._targets = dict(targets)
        self._labelled = dict(labelled)
        self._cells = dict(cells or {})
        self._present = presences(self._cells, store, rows)

    @classmethod
    def whole(
        cls, store: Store, cells: Mapping[str, Cells], unused: Sequence[str] = ()
    ) -> TableRows:
        """Return all rows of a table, without targets."""
        return cls(store, np.arange(len(store)), {}, {}, cells, unused)

    @property
    def cells(self) -> Mapping[str, Cells]:
        """Modality -> its cells."""
        return self._cells

    @property
    def present(self) -> Mapping[str, Tensor]:
        """Modality -> Bool ``(N,)``, of those that some rows lack."""
        return self._present

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
        return len(self) * sum(cells.row_bytes for cells in self._cells.values())

    def __len__(self) -> int:
        return len(self.rows)

    def fetch(self, rows: Tensor) -> Batch:
        """Return the rows at ``rows``, ``(N,)``.

        Raises:
            UserError: if a file can no longer be read.
        """
        places = self.rows[rows.numpy()]
        return Batch(
            inputs={m: cells.read(self.store, places) for m, cells in self._cells.items()},
            targets={task: y[rows] for task, y in self._targets.items()},
            present={m: mask[rows] for m, mask in self._present.items()},
            labelled={task: mask[rows] for task, mask in self._labelled.items()},
        )

    def reading(self, cells: Mapping[str, Cells]) -> TableRows:
        """Return the same rows with these cells."""
        return TableRows(self.store, self.rows, self._targets, self._labelled, cells, self.unused)


@dataclass(frozen=True)
class Part:
    """Some rows of a table.

    Attributes:
        store: the table.
        rows: positions in it, int64 ``(N,)``.
        bad: the bad rows of its file, shared by all parts of the file.
    """

    store: Store
    rows: np.ndarray
    bad: BadRows

    @classmethod
    def whole(cls, store: Store) -> Part:
        """Return all rows of a table."""
        return cls(store, np.arange(len(store)), store.bad())

    def without(self, mistakes: Mapping[int, BadRow]) -> Part:
        """Return the part without the rows at these positions, which are added to the bad ones."""
        self.bad.extend(list(mistakes.values()))
        kept = np.ones(len(self.rows), dtype=bool)
        kept[list(mistakes)] = False
        return replace(self, rows=self.rows[kept])


def divided(whole: Part, column: str) -> dict[str, Part]:
    """Return split -> its rows, by a column of split names; rows with other names are bad."""
    store = whole.store
    codes, levels = store.codes(column)[whole.rows], store.levels(column)
    kinds = np.array([SPLIT_NAMES.get(name.strip().lower(), "") for name in levels] + [""])[codes]
    wrong = {
        i: BadRow(
            int(store.places()[whole.rows[i]]),
            "unknown split",
            f"{column} is '{levels[codes[i]] if codes[i] >= 0 else ''}'; expected train, val, test",
        )
        for i in np.flatnonzero(kinds == "").tolist()
    }
    whole.without(wrong)
    return {
        split: replace(whole, rows=whole.rows[kinds == split])
        for split in ("train", "val", "test")
        if (kinds == split).any()
    }


def groups_of(rows: TableRows, column: str) -> np.ndarray:
    """Return the group of each row, int64 ``(N,)``; a row without one forms its own group."""
    codes = rows.store.codes(column)[rows.rows].astype(np.int64)
    alone = codes < 0
    codes[alone] = codes.max(initial=0) + 1 + np.arange(int(alone.sum()))
    return codes
