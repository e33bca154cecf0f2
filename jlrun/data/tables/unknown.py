"""Categories that a model does not know, in most rows of new data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from jlrun.data.specs import Spec, TabularSpec
from jlrun.data.tables.files.levels import Levels
from jlrun.data.tables.files.store import Store

_MOST = 0.5
_EXAMPLES = 3


@dataclass(frozen=True)
class UnknownLevels:
    """A column of categories that the model does not know, in most of some rows.

    Attributes:
        column: its name.
        rows: whose cells are unknown.
        filled: that have a cell.
        examples: some of the cells.
        known: some of the levels that the model knows.
    """

    column: str
    rows: int
    filled: int
    examples: tuple[str, ...]
    known: tuple[str, ...]

    def line(self, what: str) -> str:
        """Say so, of rows called ``what``."""
        known = f"it knows {', '.join(self.known)}" if self.known else "it knows none"
        return (
            f"warning: '{self.column}' has a category that the model does not know in "
            f"{self.rows:,} of {self.filled:,} {what}, such as {', '.join(self.examples)}; {known}"
        )


def unknown_levels(specs: Iterable[Spec], store: Store, rows: np.ndarray) -> list[UnknownLevels]:
    """Return the columns of ``rows`` ``(N,)`` whose category is unknown in more than half."""
    tables = [spec for spec in specs if isinstance(spec, TabularSpec)]
    found = [
        _unknown(column, levels, store, rows)
        for spec in tables
        for column, levels in zip(spec.categories, spec.levels, strict=True)
        if column in store and column not in store.absent
    ]
    return [unknown for unknown in found if unknown.rows > _MOST * unknown.filled]


def _unknown(column: str, levels: tuple[str, ...], store: Store, rows: np.ndarray) -> UnknownLevels:
    known, names, codes = Levels(levels), store.levels(column), store.codes(column)[rows]
    counts = np.bincount(codes[codes >= 0], minlength=len(names))
    strange = [i for i, name in enumerate(names) if counts[i] and known.find(name) is None]
    strange.sort(key=lambda i: -counts[i])
    return UnknownLevels(
        column,
        int(counts[strange].sum()),
        int(counts.sum()),
        tuple(names[i][:40] for i in strange[:_EXAMPLES]),
        levels[:_EXAMPLES],
    )
