"""Find inputs that give a target away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from jlrun.data.specs import Spec, TabularSpec
from jlrun.data.tables.files.inputs import ColumnsOf
from jlrun.data.tables.files.levels import Levels
from jlrun.data.tables.files.store import Store
from jlrun.data.tables.files.target_kinds import Target

# A column of which nearly every level has one class, though the classes are mixed.
TELLING, MIXED = 0.98, 0.9
_ROWS_PER_LEVEL = 5


_MOST = 0.5
_EXAMPLES = 3


@dataclass(frozen=True)
class Leak:
    """A category that alone tells the class of a task in a share of the training rows."""

    column: str
    task: str
    share: float

    def line(self, where: str) -> str:
        """Say so, of the data set at this config path."""
        return (
            f"'{self.column}' alone tells {self.task} in {self.share:.1%} of the training rows: if "
            "it would not be known of new rows, leave it out by "
            f"{where}.columns={{{self.column}: ignore}}"
        )


def find_leaks(
    modalities: Mapping[str, ColumnsOf],
    targets: Mapping[str, Target],
    store: Store,
    rows: np.ndarray,
) -> tuple[Leak, ...]:
    """Return each category that alone tells a class in nearly all of ``rows``."""
    found = list[Leak]()
    names = [name for columns in modalities.values() for name in columns.categories]
    for task, target in targets.items():
        if target.kind not in ("multiclass", "binary"):
            continue
        classes = store.codes(target.column)[rows]
        for name in names:
            levels = store.codes(name)[rows]
            share = telling(levels, classes)
            if share is not None:
                found.append(Leak(name, task, share))
    return tuple(found)


def telling(levels: np.ndarray, classes: np.ndarray) -> float | None:
    """Return the share of rows whose class is the most frequent one of their level, if it is large
    enough to be suspicious; None otherwise.

    Args:
        levels, classes: int ``(N,)``, negative where missing; such rows do not count.
    """
    known = (levels >= 0) & (classes >= 0)
    levels, classes = levels[known], classes[known]
    if not len(levels) or len(np.unique(levels)) * _ROWS_PER_LEVEL > len(levels):
        return None
    counts = np.zeros((levels.max() + 1, classes.max() + 1), np.int64)
    np.add.at(counts, (levels, classes), 1)
    share = float(counts.max(axis=1).sum() / len(levels))
    usual = float(counts.sum(axis=0).max() / len(levels))
    return share if share >= TELLING and usual <= MIXED else None


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
