"""Inputs of reference models: cells and texts of a table's rows, as they are in its files."""

# N rows, W cells of a row: numbers, then categories

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jlrun.data.file_checks import at_base
from jlrun.data.rows import Rows
from jlrun.data.tables.cells import TabularCells, TextCells, texts_of
from jlrun.data.tables.table_rows import TableRows

LONGEST_TEXT = 2_000  # characters of a text that are read


@dataclass(frozen=True)
class TableInputs:
    """Cells and texts of some rows of a table.

    Attributes:
        table: the table.
        places: of the rows in its store, int64 ``(N,)``.
        tabular: numbers and categories; None: there are none.
        text_columns: columns of texts, which are joined.
    """

    table: TableRows
    places: np.ndarray
    tabular: TabularCells | None
    text_columns: Sequence[str]

    @classmethod
    def of(cls, rows: Rows, modalities: Sequence[str]) -> TableInputs | None:
        """Return the inputs of the rows of a split; None if they are of no table.

        Args:
            rows: of the split.
            modalities: those in use; images, sounds and series are left out.
        """
        table, indices = at_base(rows)
        if not isinstance(table, TableRows):
            return None
        used = [table.cells[m] for m in modalities if m in table.cells]
        tabular = next((cells for cells in used if isinstance(cells, TabularCells)), None)
        texts = [column for c in used if isinstance(c, TextCells) for column in c.columns]
        return cls(table, table.rows[indices.numpy()], tabular, texts)

    @property
    def num_numbers(self) -> int:
        """Number of cells of a row that are numbers."""
        return len(self.tabular.spec.numbers) if self.tabular else 0

    @property
    def num_levels(self) -> tuple[int, ...]:
        """Number of known levels of each category."""
        return tuple(map(len, self.tabular.spec.levels)) if self.tabular else ()

    @property
    def num_cells(self) -> int:
        """W, the number of cells of a row."""
        return self.num_numbers + len(self.num_levels)

    def cells(self, rows: np.ndarray) -> np.ndarray:
        """Return float64 ``(N, W)`` of the rows at ``rows``.

        Numbers are NaN where missing; categories are the index of their level, from 0, and NaN
        where missing or unknown.
        """
        if self.tabular is None:
            return np.zeros((len(rows), 0))
        cells = self.tabular.read(self.table.store, self.places[rows]).numpy()
        cells[~np.isfinite(cells)] = np.nan
        categories = cells[:, self.num_numbers :]
        categories[:] = np.where(categories > 0, categories - 1, np.nan)
        return cells

    def texts(self, rows: np.ndarray) -> list[str]:
        """Return the text of each row, at most its first 2,000 characters; empty where missing."""
        found = texts_of(self.table.store, self.text_columns, self.places[rows])
        return [text[:LONGEST_TEXT] for text in found]

    def bytes_of_text(self) -> float:
        """Return the mean length of the texts of a row in UTF-8, as far as they are read."""
        lengths = np.zeros(len(self.places))
        for column in self.text_columns:
            if column in self.table.store:
                lengths += np.diff(self.table.store.texts(column).ends)[self.places]
        return float(np.minimum(lengths, LONGEST_TEXT).mean()) if len(lengths) else 0.0
