"""Numbers in cells: parsing with any separators, and the thousands separator, inferred."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from jlrun.data.tables.files.quantities import DURATIONS, without_unit

_LARGEST = float(np.finfo(np.float32).max)
# mark -> all characters that look like it
_LIKE = {" ": " \u00a0\u202f\u2009", "'": "'\u2019"}
_BOOLEANS = {"true": "1", "false": "0"}


@dataclass(frozen=True)
class Marks:
    """Separators within numbers.

    Attributes:
        decimal: decimal separator.
        thousands: thousands separator; None: none.
        unit: written before or after numbers (`jlrun.data.tables.files.quantities`); None: none.
    """

    decimal: str = "."
    thousands: str | None = None
    unit: str | None = None

    def plain(self, cell: str) -> str:
        """Return a cell in Python's notation of numbers; other text stays text."""
        if self.unit is not None and cell:
            cell = without_unit(cell, self.unit)
            if self.unit in DURATIONS:
                return cell
        if self._separators and any(mark in cell for mark in self._separators):
            if not self.grouped.fullmatch(cell):
                return "no number"
            for mark in self._separators:
                cell = cell.replace(mark, "")
        if self.decimal == ".":
            return cell
        return "no number" if "." in cell else cell.replace(self.decimal, ".")

    @cached_property
    def grouped(self) -> re.Pattern[str]:
        """Pattern of numbers with thousands separators, or those of lakhs and crores."""
        mark, point = f"[{self._separators}]", re.escape(self.decimal)
        return re.compile(rf"[-+]?[1-9]\d{{0,2}}({mark}\d{{2,3}})*{mark}\d{{3}}({point}\d*)?")

    @cached_property
    def _separators(self) -> str:
        return _LIKE.get(self.thousands or "", self.thousands or "")


POINT = Marks()


def has_groups(cell: str) -> bool:
    """Return whether a cell is a number whose digits are grouped by some mark: ``51,260.5``."""
    pairs = ((decimal, mark) for decimal in ".," for mark in MARK_NAMES if mark != decimal)
    return any(Marks(*pair).grouped.fullmatch(cell.strip()) for pair in pairs)


def to_numbers(
    cells: Sequence[str], marks: Marks = POINT, *, booleans: bool = False
) -> tuple[np.ndarray, list[int]]:
    """Return cells as float64 ``(N,)``, NaN where missing, and the positions of cells that are not
    numbers, or too large for float32.

    Args:
        cells: texts, empty where missing.
        marks: within numbers.
        booleans: whether cells that are all true or false count as 1 and 0.
    """
    if booleans and all(not cell or cell.lower() in _BOOLEANS for cell in cells):
        cells = [cell and _BOOLEANS[cell.lower()] for cell in cells]
    if marks.unit is not None:
        plain_of = {cell: marks.plain(cell) for cell in {*cells}}
        cells = [plain_of[cell] for cell in cells]
    elif marks != POINT:
        cells = [marks.plain(cell) for cell in cells]
    plain = not any("_" in cell for cell in cells)  # Python allows it between digits
    try:
        if plain:
            values = np.array([float(cell) if cell else np.nan for cell in cells])
            if not (np.abs(values) > _LARGEST).any() and _filled(cells) == _known(values):
                return values, []
    except ValueError:
        pass
    values = np.full(len(cells), np.nan)
    wrong = []
    for i, cell in enumerate(cells):
        if not cell:
            continue
        number = _number(cell)
        if number is None:
            wrong.append(i)
        else:
            values[i] = number
    return values, wrong


def _filled(cells: Sequence[str]) -> int:
    return len(cells) - sum(not cell for cell in cells)


def _known(values: np.ndarray) -> int:
    return len(values) - int(np.isnan(values).sum())


def _number(cell: str) -> float | None:
    try:
        value = float(cell) if "_" not in cell else float("nan")
    except ValueError:
        return None
    return value if abs(value) <= _LARGEST else None


_NUMBERS = 0.8
MARK_NAMES = {",": "comma", ".": "point", " ": "space", "'": "apostrophe"}
_COMMA = re.compile(r"[-+]?\d+,\d+")


@dataclass
class Grouping:
    """Counts of a column's cells that are numbers, by thousands separator.

    Attributes:
        plain: cells that are numbers without a separator.
        grouped: separator -> cells that are numbers with it.
        evident: separator -> those of them that are unambiguous.
        commas: cells that are numbers if a comma is the decimal separator.
        sampled: cells in the sample.
        example: the first cell with a separator.
    """

    plain: int = 0
    grouped: dict[str, int] = field(default_factory=dict)
    evident: dict[str, int] = field(default_factory=dict)
    commas: int = 0
    sampled: int = 0
    example: str = ""

    def add(self, cell: str, decimal: str) -> None:
        """Count a filled cell."""
        self.sampled += 1
        if not to_numbers([cell], Marks(decimal))[1]:
            self.plain += 1
            return
        if decimal == "." and _has_comma(cell):
            self.commas += 1
            self.example = self.example or cell
        for mark in MARK_NAMES:
            if mark == decimal or not Marks(decimal, mark).grouped.fullmatch(cell):
                continue
            self.example = self.example or cell
            self.grouped[mark] = self.grouped.get(mark, 0) + 1
            self.evident[mark] = self.evident.get(mark, 0) + _evident(cell, decimal, mark)

    def marks(self) -> dict[str, bool]:
        """Return separator -> whether it is unambiguous, for those that parse nearly all cells."""
        return {
            mark: self.evident[mark] > 0
            for mark, count in self.grouped.items()
            if count + self.plain >= _NUMBERS * self.sampled
        }

    def question(self, where: str) -> str:
        """Return a hint for a column of ambiguous numbers; '' for other columns."""
        choices = [f"{where}.reading.thousands={MARK_NAMES[mark]}" for mark in self.marks()]
        if self.commas and self.commas + self.plain >= _NUMBERS * self.sampled:
            choices.append(f"{where}.reading.decimal=comma")
        if not choices:
            return ""
        return (
            f"numbers with marks, such as {self.example}: to read them, set {' or '.join(choices)}"
        )


def _has_comma(cell: str) -> bool:
    """Whether a comma can be the mark before the fraction, as in 12,5 or 5.307,65."""
    if "," not in cell:
        return False
    grouped = (Marks(",", mark).grouped for mark in MARK_NAMES if mark != ",")
    return bool(_COMMA.fullmatch(cell)) or any(form.fullmatch(cell) for form in grouped)


def _evident(cell: str, decimal: str, mark: str) -> bool:
    """Whether the mark can't be the decimal separator: it occurs twice, comes before another mark,
    or the config names the other mark."""
    return cell.count(mark) > 1 or decimal in cell or (decimal == "," and mark == ".")


def found_thousands(groupings: Iterable[Grouping]) -> str | None:
    """Return the thousands separator of a file; None if there is none, or it is ambiguous."""
    evident = {m for grouping in groupings for m, sure in grouping.marks().items() if sure}
    return evident.pop() if len(evident) == 1 else None
