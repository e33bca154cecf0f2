"""Rows of a table: targets in memory, inputs read from the columns on disk when fetched."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.data.tables.cells import Cells, presences
from jlrun.data.tables.files.store import Store


class TableRows:
    """Some rows of a table, in the order of ``rows``.

    Args:
        store: the table.
        rows: positions in the store, int64 ``(N,)``.
        targets: task -> target of each row, ``(N,)`` or ``(N, C)``.
        labelled: task -> Bool ``(N,)``, of tasks with unlabelled rows.
        cells: modality -> its cells; none before a data set is fitted.
    """

    def __init__(
        self,
        store: Store,
        rows: np.ndarray,
        targets: Mapping[str, Tensor],
        labelled: Mapping[str, Tensor],
        cells: Mapping[str, Cells] | None = None,
    ) -> None:
        self.store = store
        self.rows = rows
        self._targets = dict(targets)
        self._labelled = dict(labelled)
        self._cells = dict(cells or {})
        self._present = presences(self._cells, store, rows)

    @classmethod
    def whole(cls, store: Store, cells: Mapping[str, Cells]) -> TableRows:
        """Return all rows of a table, without targets."""
        return cls(store, np.arange(len(store)), {}, {}, cells)

    @property
    def cells(self) -> Mapping[str, Cells]:
        """Modality -> its cells."""
        return self._cells

    @property
    def targets(self) -> Mapping[str, Tensor]:
        return self._targets

    @property
    def labelled(self) -> Mapping[str, Tensor]:
        return self._labelled

    @property
    def num_bytes(self) -> int:
        return len(self) * sum(cells.row_bytes for cells in self._cells.values())

    def __len__(self) -> int:
        return len(self.rows)

    def fetch(self, rows: Tensor) -> Batch:
        """Return the rows at ``rows``, ``(N,)``.

        Raises:
            UserError: if a file can't be read any more.
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
        return TableRows(self.store, self.rows, self._targets, self._labelled, cells)
