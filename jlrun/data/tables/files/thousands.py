"""Thousands separator of a table's numbers, inferred where it is unambiguous."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from jlrun.data.tables.files.layout import Reading
from jlrun.data.tables.files.numbers import Marks, to_numbers

_NUMBERS = 0.8
_NAMES = {",": "comma", ".": "point", " ": "space", "'": "apostrophe"}
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
        for mark in _NAMES:
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
        choices = [f"{where}.reading.thousands={_NAMES[mark]}" for mark in self.marks()]
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
    grouped = (Marks(",", mark).grouped for mark in _NAMES if mark != ",")
    return bool(_COMMA.fullmatch(cell)) or any(form.fullmatch(cell) for form in grouped)


def _evident(cell: str, decimal: str, mark: str) -> bool:
    """Whether the mark can't be the decimal separator: it occurs twice, comes before another mark,
    or the config names the other mark."""
    return cell.count(mark) > 1 or decimal in cell or (decimal == "," and mark == ".")


def found_thousands(groupings: Iterable[Grouping]) -> str | None:
    """Return the thousands separator of a file; None if there is none, or it is ambiguous."""
    evident = {m for grouping in groupings for m, sure in grouping.marks().items() if sure}
    return evident.pop() if len(evident) == 1 else None


def thousands_line(reading: Reading, groupings: Mapping[str, Grouping]) -> str:
    """Return a log line on the separator that was found, and its columns."""
    mark = reading.thousands or ""
    columns = [name for name, grouping in groupings.items() if mark in grouping.marks()]
    example = groupings[columns[0]].example
    where = ", ".join(columns)
    return f"  numbers have a {_NAMES[mark]} between thousands, such as {example}: {where}"
