"""Numbers in cells: parsing with any decimal and thousands separator."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

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
    """

    decimal: str = "."
    thousands: str | None = None

    def plain(self, cell: str) -> str:
        """Return a cell in Python's notation of numbers; other text stays text."""
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
    if marks != POINT:
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
