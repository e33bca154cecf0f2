"""Report on a table: skipped rows, suspicious columns, and how to read new rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from jlrun.data.specs import Spec, TabularSpec
from jlrun.data.tables.files.bad_rows import BadRows, as_csv
from jlrun.data.tables.files.inputs import ColumnsOf
from jlrun.data.tables.files.kinds import Target
from jlrun.data.tables.files.layout import Reading
from jlrun.data.tables.files.levels import Levels
from jlrun.data.tables.files.store import Store
from jlrun.data.written_names import kind_setting
from jlrun.files.run_directory import BAD_ROWS, TABLE
from jlrun.tasks.target_scales import Scale
from jlrun.wording import counted

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
            + kind_setting(where, self.column, "ignore")
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


@dataclass(frozen=True)
class TableReport:
    """Report on the files of a table, and how to read new rows.

    Attributes:
        modalities: modality -> its columns.
        reading: how the file is written.
        files_root: as in the config.
        bad: the bad rows of each file, all of them skipped.
        num_read: number of rows of the files, bad ones included.
        leaks: inputs that give a target away.
        coarse: columns whose numbers are too far from 0 for float64 to keep their differences.
        scaled: target -> the scale that it is learned on.
        unknown: split -> columns in which most rows have a category unknown to the model.
        missing: column -> word that was taken for missing -> cells, of all files.
        unused: columns of inputs that are not in use; they only tell rows from each other.
    """

    modalities: Mapping[str, ColumnsOf]
    reading: Reading
    files_root: str | None
    bad: Sequence[BadRows]
    num_read: int
    leaks: tuple[Leak, ...] = ()
    coarse: tuple[str, ...] = ()
    scaled: Mapping[str, Scale] = field(default_factory=dict)
    unknown: Mapping[str, Sequence[UnknownLevels]] = field(default_factory=dict)
    missing: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    unused: Sequence[str] = ()

    @property
    def _skipped(self) -> int:
        return sum(bad.num_rows for bad in self.bad)

    def lines(self, where: str) -> list[str]:
        """Return lines for the log; ``where`` is the path of the data set in the config."""
        skipped = [
            f"skipped: {counted(bad.num_rows, 'row')} of {bad.path.name}: "
            + ", ".join(f"{count} {reason}" for reason, count in bad.counts().items())
            + f" ({BAD_ROWS})"
            for bad in self.bad
            if bad.num_rows
        ]
        leaks = [leak.line(where) for leak in self.leaks]
        scaled = [
            f"'{column}' is learned as its {'logarithm' if len(scale) == 1 else 'normal scores'}, "
            f"scored and predicted in its own units ({where}.target_transform=none: as it is)"
            for column, scale in self.scaled.items()
            if scale
        ]
        return [*skipped, *leaks, *scaled, *self.warnings()]

    def warnings(self) -> list[str]:
        """Return lines on what makes scores doubtful."""
        coarse = [
            f"'{column}' lies so far from 0 that float64 (16 digits) loses its spread: subtract a "
            "constant from the column in the file"
            for column in self.coarse
        ]
        unknown = [
            unknown.line(f"{split} rows")
            for split, some in self.unknown.items()
            for unknown in some
        ]
        return [*coarse, *unknown]

    def to_json(self) -> dict[str, Any]:
        """Return the content of ``data`` in ``result.json``."""
        reasons: dict[str, int] = {}
        for bad in self.bad:
            for reason, count in bad.counts().items():
                reasons[reason] = reasons.get(reason, 0) + count
        found = {"rows": self.num_read, "skipped": self._skipped, "reasons": reasons}
        words = {column: dict(words) for column, words in self.missing.items()}
        return found | ({"missing": words} if words else {})

    def files(self) -> dict[str, str]:
        """Return name -> content of files for the run directory."""
        table = {
            "modalities": {name: asdict(columns) for name, columns in self.modalities.items()},
            "unused": list(self.unused),
            "reading": asdict(self.reading),
            "files_root": self.files_root,
        }
        found = {TABLE: json.dumps(table, indent=2, ensure_ascii=False) + "\n"}
        return found | ({BAD_ROWS: as_csv(self.bad)} if self._skipped else {})
