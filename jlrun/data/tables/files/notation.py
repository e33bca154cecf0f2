"""Notation of a column: units, marks within numbers and the order of dates, from a sample of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from jlrun.data.tables.files.dates import Order, evidence_of, is_compact
from jlrun.data.tables.files.layout import ColumnReading, Reading
from jlrun.data.tables.files.numbers import MARK_NAMES
from jlrun.data.tables.files.quantities import (
    DURATION,
    DURATIONS,
    HOURS,
    MINUTES,
    clock_fields,
    is_money,
    seconds_of,
    unit_of,
)
from jlrun.data.written_names import column_setting

# Above these shares of the cells, the other cells count as mistakes.
_NUMBERS = 0.8
_DATES = 0.9
_KEPT = 2_000
_LONGEST = 48
_PLAIN = re.compile(r"[-+]?[.,]?\d[\d.,'\u2019 \u00a0\u202f\u2009]*")
_LIKE = str.maketrans({"\u2019": "'", "\u00a0": " ", "\u202f": " ", "\u2009": " "})
# A price of three digits or more, next to 1.234, shows that this is no price of 1 and a fraction.
_SCALE = 100


@dataclass
class Notation:
    """Counts of how a sample of the filled cells of a column is written.

    Attributes:
        sampled: cells of the sample.
        units: unit -> cells with it.
        orders: evidence of dates -> cells.
        compact: cells that are dates of eight digits.
        clocks, words: fields of a clock -> cells; durations with units.
        examples: kind of notation -> its first cell.
    """

    sampled: int = 0
    units: Counter[str] = field(default_factory=Counter)
    orders: Counter[str] = field(default_factory=Counter)
    compact: int = 0
    clocks: Counter[int] = field(default_factory=Counter)
    words: int = 0
    plain: int = 0
    examples: dict[str, str] = field(default_factory=dict)
    _numbers: list[str] = field(default_factory=list)

    def add(self, cell: str) -> None:
        """Count a filled cell."""
        self.sampled += 1
        if len(cell) > _LONGEST or not any(map(str.isdigit, cell)):
            return
        if _PLAIN.fullmatch(cell):
            self.plain += 1
            self._keep(cell)
        if found := unit_of(cell):
            self._count(self.units, found[0], cell)
            self._keep(found[1])
        elif fields := clock_fields(cell):
            self._count(self.clocks, fields, cell)
        elif seconds_of(cell) is not None:
            self.words += 1
            self.examples.setdefault(DURATION, cell)
        if evidence := evidence_of(cell):
            self.compact += is_compact(cell)
            self._count(self.orders, evidence, cell)

    def _count(self, counts: Counter, key: str | int, cell: str) -> None:
        counts[key] += 1
        self.examples.setdefault(str(key), cell)

    def _keep(self, number: str) -> None:
        if len(self._numbers) < _KEPT:
            self._numbers.append(number.lstrip("+-").translate(_LIKE))

    @property
    def has_units(self) -> bool:
        """Whether nearly all cells are numbers, and some have a unit."""
        enough = self.units.total() + self.plain >= _NUMBERS * self.sampled
        return bool(self.units) and enough

    @property
    def has_durations(self) -> bool:
        """Whether nearly all cells are durations or times of day."""
        count = self.clocks.total() + self.words
        return count > 0 and count >= _NUMBERS * self.sampled

    @property
    def has_dates(self) -> bool:
        """Whether nearly all cells are dates; those of digits alone, whether all are."""
        count = self.orders.total()
        return count == self.sampled > 0 if self.compact else count >= max(_DATES * self.sampled, 1)

    def order(self) -> Order | None:
        """Return the order of day and month, if the sample shows only one."""
        found: list[Order] = [o for o in ("day-first", "month-first") if self.orders[o]]
        return found[0] if len(found) == 1 else None

    def found(self, reading: Reading, column: str) -> ColumnReading | None:
        """Return how the column is written, as far as it is unambiguous and not yet said; None:
        as the rest of the file."""
        said = reading.columns.get(column, ColumnReading())
        if self.has_durations and said.unit is None:
            unit = self._duration()
            return None if unit is None else ColumnReading(unit=unit)
        unit = said.unit or (next(iter(self.units)) if len(self.units) == 1 else None)
        if not self.has_units or unit is None or unit in DURATIONS:
            return None
        if said.decimal or said.thousands:
            return ColumnReading(unit=unit)
        marks = marks_of(self._numbers, reading.decimal, money=is_money(unit))
        if marks is None:
            return None
        decimal, thousands = marks
        differs = (decimal, thousands) != (reading.decimal, reading.thousands)
        return ColumnReading(decimal, thousands, unit=unit) if differs else ColumnReading(unit=unit)

    def decimal_comma(self, evident: bool) -> ColumnReading | None:
        """Return the reading of numbers with a decimal comma; None if they are no such numbers.

        Args:
            evident: whether another column has shown that the file has decimal commas.
        """
        if self.units or not self.plain or self.plain < _NUMBERS * self.sampled:
            return None
        if not any("," in number for number in self._numbers):
            return None
        marks = marks_of(self._numbers, "," if evident else ".", money=False)
        return ColumnReading(",", marks[1]) if marks and marks[0] == "," else None

    def _duration(self) -> str | None:
        if self.clocks[2]:
            return MINUTES if self.clocks[3] else None
        return DURATION

    def question(self, where: str, column: str, reading: Reading) -> str:
        """Return a hint for a column whose notation is ambiguous; '' for others."""
        said = reading.columns.get(column, ColumnReading())

        def settings(*values: str) -> str:
            return " or ".join(column_setting(where, column, value) for value in values)

        if self.has_durations and said.unit is None and self._duration() is None:
            choices = settings(f"unit: {HOURS}", f"unit: {MINUTES}")
            return f"times such as {self.examples['2']}: to read them, set {choices}"
        if self.has_units and said.unit is None and len(self.units) > 1:
            counts = ", ".join(f"{count:,} in {unit}" for unit, count in self.units.most_common())
            one = settings(f"unit: {_bare(self.units.most_common(1)[0][0])}")
            return (
                f"amounts in several units ({counts} of {self.sampled:,} cells) are not one "
                f"number: convert them, or read those of one unit by {one}"
            )
        if self.has_units and not (said.decimal or said.thousands):
            return self._question_of_marks(said.unit or next(iter(self.units)), reading, settings)
        return ""

    def _question_of_marks(self, unit: str, reading: Reading, settings) -> str:
        if unit in DURATIONS or marks_of(self._numbers, reading.decimal, money=is_money(unit)):
            return ""
        marked = [mark for mark in ",." if any(mark in number for number in self._numbers)]
        choices = [f"thousands: {MARK_NAMES[m]}" for m in marked]
        choices += [f"decimal: {MARK_NAMES[m]}" for m in marked]
        return f"amounts such as {self.examples[unit]}: to read them, set {settings(*choices)}"

    def question_of_dates(self, where: str, column: str, reading: Reading) -> str:
        """Return a hint for dates whose order is not known; '' for others."""
        if reading.dates(column) is not None or self.order() is not None:
            return ""
        if self.orders["day-first"]:
            one, two = self.examples["day-first"], self.examples["month-first"]
            found = f"dates in two orders, {one} and {two}"
        elif self.orders["either"]:
            found = f"dates such as {self.examples['either']}, with the day or the month first"
        else:
            return ""
        choices = [
            column_setting(where, column, f"dates: {o}") for o in ("day-first", "month-first")
        ]
        return f"{found}: to read them, set {' or '.join(choices)}"


def _bare(unit: str) -> str:
    return unit if unit.isascii() else f'"{unit}"'


def marks_of(numbers: Sequence[str], decimal: str, *, money: bool) -> tuple[str, str | None] | None:
    """Return the decimal and the thousands separator of numbers; None if they are ambiguous.

    A mark before three digits, as in ``1.234``, may be either. Prices have two decimals: in amounts
    of money it separates thousands if some whole part has two digits, or a price without marks is
    100 or more. In other numbers it is the decimal separator of the file, or ambiguous.

    Args:
        numbers: without signs and units.
        decimal: decimal separator of the file.
        money: whether they are amounts of money.
    """
    decimals, thousands, open_marks = set[str](), set[str](), set[str]()
    for number in numbers:
        _vote(number, decimals, thousands, open_marks)
    large = money and any(_is_large(number) for number in numbers)
    for mark in open_marks - decimals - thousands:
        if decimals or large:
            thousands.add(mark)
        elif thousands or (mark == decimal and not money):
            decimals.add(mark)
        else:
            return None
    if len(decimals) > 1 or len(thousands) > 1 or decimals & thousands:
        return None
    separator = next(iter(thousands), None)
    other = {".": ",", ",": "."}.get(separator or "", decimal)
    return next(iter(decimals), other), separator


def _vote(number: str, decimals: set[str], thousands: set[str], open_marks: set[str]) -> None:
    marks = [letter for letter in number if letter in MARK_NAMES]
    if not marks:
        return
    last = marks[-1]
    if len(set(marks)) > 1:
        decimals.add(last)
        thousands.update(set(marks) - {last})
    elif len(marks) > 1 or last in " '":
        thousands.add(last)
    else:
        whole, _, fraction = number.partition(last)
        grouped = len(fraction) == 3 and 0 < len(whole) <= 3 and whole[0] != "0"
        (open_marks if grouped else decimals).add(last)


def _is_large(number: str) -> bool:
    """Whether a number with one mark has two digits before it, or one without is 100 or more."""
    if number.isdigit():
        return int(number) >= _SCALE
    return (
        len(re.split(r"[.,]", number)[0]) > 1 and re.fullmatch(r"\d+[.,]\d{3}", number) is not None
    )
