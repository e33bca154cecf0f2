"""Suspicious columns: inputs that give a target away, categories that a model does not know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from jlrun.data.specs import Spec, TabularSpec
from jlrun.data.tables.files.inputs import ColumnsOf
from jlrun.data.tables.files.levels import Levels
from jlrun.data.tables.files.store import Store
from jlrun.data.tables.files.target_kinds import Target

# Share of rows in the majority class of their level, and of all rows in the most frequent class.
TELLING, MIXED = 0.98, 0.9
_ROWS_PER_LEVEL = 5


_MOST = 0.5
_EXAMPLES = 3


@dataclass(frozen=True)
class Leak:
    """A category that alone determines the class of a task in a share of the training rows."""

    column: str
    task: str
    share: float

    def line(self, where: str) -> str:
        """Return the warning; ``where`` is the data set's config path."""
        return (
            f"'{self.column}' alone determines {self.task} in {self.share:.1%} of the training "
            "rows: if new rows would not have it, leave it out by "
            f"{where}.columns={{{self.column}: ignore}}"
        )


def find_leaks(
    modalities: Mapping[str, ColumnsOf],
    targets: Mapping[str, Target],
    store: Store,
    rows: np.ndarray,
) -> tuple[Leak, ...]:
    """Return each category that alone determines a class in nearly all of ``rows``."""
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
    """Return the share of rows in the majority class of their level, if it is suspiciously large;
    else None.

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
    """A column in which most rows have a category unknown to the model.

    Attributes:
        column: its name.
        rows: number of rows with an unknown category.
        filled: number of rows with a category.
        examples: some unknown categories.
        known: some of the levels that the model knows.
    """

    column: str
    rows: int
    filled: int
    examples: tuple[str, ...]
    known: tuple[str, ...]

    def line(self, what: str) -> str:
        """Return the warning; ``what`` names the rows."""
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
