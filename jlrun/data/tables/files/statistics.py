"""Statistics of the columns of a file, gathered in one pass."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import KeysView, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePath

import numpy as np

from jlrun.data.tables.files.bad_rows import BadRows
from jlrun.data.tables.files.inputs import KIND_OF_SUFFIX, MEDIA
from jlrun.data.tables.files.labels import DEFAULT_SEPARATOR
from jlrun.data.tables.files.layout import Reading
from jlrun.data.tables.files.levels import level_name
from jlrun.data.tables.files.notation import Notation
from jlrun.data.tables.files.numbers import Grouping, Marks, to_numbers
from jlrun.data.tables.files.reading import read_chunks
from jlrun.errors import UserError

MOST_DISTINCT = 20_000
# Cells sampled from each chunk, to find words, dates and file names.
_SAMPLE = 500
_EXAMPLES = 100
_KEPT = 2_000
_CODE = re.compile(r"0\d+")
_HASH = re.compile(
    r"(?=.*[0-9])(?=.*[a-f])[0-9a-f]{12,}|(?=.*[0-9])(?=.*[A-F])[0-9A-F]{12,}"
    r"|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
)


@dataclass
class ColumnStatistics:
    """Statistics of a column.

    Attributes:
        rows, filled: number of rows, and of rows that are not missing.
        numbers, whole: number of cells that are numbers, and whole numbers.
        ascending: whether all cells are numbers, each larger than the one before.
        levels: level -> its cells, of about the first `MOST_DISTINCT` levels.
        counted: filled cells that ``levels`` covers.
        sampled, words, listed, codes, hashes: over a sample of cells: number of cells, of words, of
            cells with ``|``, of numbers that begin with 0, and of hashes.
        sample: some cells of the sample.
        files: kind of file -> cells of the sample with such an ending.
        examples: the first cells.
        grouping: thousands separators in a sample of cells.
        notation: units and dates in a sample of cells.
        missing: word that was taken for missing -> cells.
        shortest, longest: lengths of the cells of the sample.
    """

    rows: int = 0
    filled: int = 0
    numbers: int = 0
    whole: int = 0
    ascending: bool = True
    levels: Counter[str] = field(default_factory=Counter)
    counted: int = 0
    sampled: int = 0
    words: int = 0
    listed: int = 0
    codes: int = 0
    hashes: int = 0
    sample: list[str] = field(default_factory=list)
    files: dict[str, int] = field(default_factory=lambda: dict.fromkeys(MEDIA, 0))
    examples: list[str] = field(default_factory=list)
    grouping: Grouping = field(default_factory=Grouping)
    notation: Notation = field(default_factory=Notation)
    missing: Counter[str] = field(default_factory=Counter)
    shortest: int = 1 << 20
    longest: int = 0
    _last: float = -np.inf

    @property
    def distinct(self) -> KeysView[str]:
        """Distinct levels, up to `MOST_DISTINCT`."""
        return self.levels.keys()

    @property
    def words_per_cell(self) -> float:
        """Mean number of words in the cells of the sample."""
        return self.words / max(self.sampled, 1)

    @property
    def all_different(self) -> bool:
        """Whether no cell occurs twice among those counted."""
        return self.counted > 1 and len(self.distinct) == self.counted

    @property
    def many(self) -> bool:
        """Whether there are more distinct cells than `MOST_DISTINCT`."""
        return len(self.distinct) >= MOST_DISTINCT

    def skip(self, rows: int) -> None:
        """Count rows without the column."""
        self.rows += rows

    def add(self, cells: Sequence[str], marks: Marks) -> None:
        """Add the cells of some rows."""
        self.rows += len(cells)
        filled = [cell for cell in cells if cell]
        self.filled += len(filled)
        self.examples += filled[: _EXAMPLES - len(self.examples)]
        if not self.many:
            self.counted += len(filled)
            for cell, count in Counter(filled).items():
                self.levels[level_name(cell)] += count
        self._add_numbers(filled, marks)
        for cell in filled[:: max(1, len(filled) // _SAMPLE)]:
            self._add_sample(cell)
            if not marks.thousands:
                self.grouping.add(cell, marks.decimal)

    def _add_numbers(self, filled: Sequence[str], marks: Marks) -> None:
        if self.numbers == 0 and self.filled > len(filled):
            return  # a column of words
        values, wrong = to_numbers(filled, marks)
        self.numbers += len(filled) - len(wrong)
        known = values[~np.isnan(values)]
        self.whole += int((known == np.floor(known)).sum())
        if len(known):
            rising = not wrong and known[0] > self._last and bool((np.diff(known) > 0).all())
            self.ascending = self.ascending and rising
            self._last = float(known[-1])

    def _add_sample(self, cell: str) -> None:
        self.sampled += 1
        self.words += len(cell.split())
        self.listed += DEFAULT_SEPARATOR in cell
        self.codes += bool(_CODE.fullmatch(cell))
        self.hashes += bool(_HASH.fullmatch(cell))
        self.shortest, self.longest = min(self.shortest, len(cell)), max(self.longest, len(cell))
        self.notation.add(cell)
        if len(self.sample) < _KEPT:
            self.sample.append(cell)
        kind = KIND_OF_SUFFIX.get(PurePath(cell).suffix.lower()) if len(cell) < 400 else None
        if kind:
            self.files[kind] += 1


@dataclass(frozen=True)
class FileStatistics:
    """Statistics of all columns of a file.

    Attributes:
        columns: name -> statistics, in the order of the file.
        num_rows: number of rows that could be split into cells.
    """

    columns: Mapping[str, ColumnStatistics]
    num_rows: int


def measure(path: Path, reading: Reading, where: str) -> FileStatistics:
    """Return the statistics of all columns of a file; each process reads it only once.

    Raises:
        UserError: if it can't be read.
    """
    try:
        state = path.stat()
    except OSError:
        return _measured(path, reading, where)  # raises the error
    return _remembered(path, reading, where, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=8)
def _remembered(
    path: Path, reading: Reading, where: str, size: int, modified: int
) -> FileStatistics:
    del size, modified  # a file that has changed is another
    return _measured(path, reading, where)


def _measured(path: Path, reading: Reading, where: str) -> FileStatistics:
    columns: dict[str, ColumnStatistics] = {}
    num_rows, bad = 0, BadRows(path)
    for chunk in read_chunks(path, reading, bad, where):
        for name in [name for name in chunk.cells if name not in columns]:
            columns[name] = ColumnStatistics()
            columns[name].skip(num_rows)
        for name, statistics in columns.items():
            if name in chunk.cells:
                statistics.add(chunk.cells[name], reading.marks(name))
                statistics.missing.update(chunk.words.get(name, {}))
            else:
                statistics.skip(len(chunk.places))
        num_rows += len(chunk.places)
    if not num_rows:
        raise UserError(bad.problems())
    return FileStatistics(columns, num_rows)
