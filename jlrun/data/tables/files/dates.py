"""Dates in cells: the order of day and month, and dates as seconds since 1970."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

import numpy as np

Order = Literal["day-first", "month-first"]
# Evidence of a cell: its order, or that it needs none, or that it may have either.
Evidence = Literal["day-first", "month-first", "stated", "either"]

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = r"(?P<name>[A-Za-z]{3,9})\.?"
_YEAR = r"(?P<year>\d{4})"
_CLOCK = re.compile(
    r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?P<fraction>[.,]\d{1,9})?)?"
    r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?\s*(?P<zone>Z|UTC|[-+]\d\d:?\d\d(?::\d\d)?)?"
)
_YEAR_FIRST = re.compile(rf"{_YEAR}(?P<mark>[-/.])(?P<month>\d{{1,2}})(?P=mark)(?P<day>\d{{1,2}})")
_YEAR_LAST = re.compile(rf"(?P<one>\d{{1,2}})(?P<mark>[-/.])(?P<two>\d{{1,2}})(?P=mark){_YEAR}")
_COMPACT = re.compile(r"(?P<year>(?:19|20)\d\d)(?P<month>[01]\d)(?P<day>[0-3]\d)")
_NAMED = (
    re.compile(rf"(?P<day>\d{{1,2}})(?:st|nd|rd|th|\.)?[\s-]*{_MONTH}[\s,-]*{_YEAR}"),
    re.compile(rf"{_MONTH}\s*(?P<day>\d{{1,2}})(?:st|nd|rd|th)?,?\s+{_YEAR}"),
)
_PARTS = re.compile(
    r"(?P<day>\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{8}|\D.*?\d{4}|\d\d?\D.*?\d{4})(?:[T\s,]+(?P<clock>\d.*))?"
)
_EPOCH = datetime(1970, 1, 1)
_LONGEST = 48


def evidence_of(cell: str) -> Evidence | None:
    """Return what a cell shows of the order of day and month; None if it is no date."""
    day = _day_of(cell)
    if day is None:
        return None
    found = _YEAR_LAST.fullmatch(day)
    if found is None:
        return "stated" if seconds_of(cell, None) is not None else None
    one, two = int(found["one"]), int(found["two"])
    if seconds_of(cell, "day-first") is None:
        return "month-first" if seconds_of(cell, "month-first") is not None else None
    if two > 12 or one > 12:
        return "day-first"
    if one == two:
        return "stated"
    return "day-first" if found["mark"] == "." else "either"


def is_compact(cell: str) -> bool:
    """Whether a cell is a date of eight digits, such as ``20240131``."""
    return _COMPACT.fullmatch(cell) is not None and seconds_of(cell, None) is not None


def to_dates(cells: Sequence[str], order: Order | None) -> tuple[np.ndarray, list[int]]:
    """Return dates as seconds since 1970, float64 ``(N,)``, NaN where missing, and the positions of
    cells that are no dates.

    A time with an offset is converted to UTC; another one is taken as it is.

    Args:
        cells: texts, empty where missing.
        order: of day and month, where the year comes last; None: only with points or equal numbers.
    """
    known: dict[str, float | None] = {cell: seconds_of(cell, order) for cell in {*cells} if cell}
    values = np.array([np.nan if (v := known.get(cell)) is None else v for cell in cells])
    return values, [i for i, cell in enumerate(cells) if cell and known[cell] is None]


def seconds_of(cell: str, order: Order | None) -> float | None:
    """Return a date as seconds since 1970; None if it is none, or of an unknown order."""
    if len(cell) > _LONGEST:
        return None
    whole = _PARTS.fullmatch(cell)
    parts = whole and _calendar(whole["day"], order)
    if whole is None or parts is None:
        return None
    clock = _time(whole["clock"])
    if clock is None:
        return None
    try:
        return (datetime(*parts) - _EPOCH + clock).total_seconds()
    except (ValueError, OverflowError):
        return None


def _day_of(cell: str) -> str | None:
    found = _PARTS.fullmatch(cell) if len(cell) <= _LONGEST else None
    return found and found["day"]


def _calendar(day: str, order: Order | None) -> tuple[int, int, int] | None:
    """Return year, month and day."""
    if found := _YEAR_FIRST.fullmatch(day) or _COMPACT.fullmatch(day):
        return int(found["year"]), int(found["month"]), int(found["day"])
    if found := _YEAR_LAST.fullmatch(day):
        one, two = int(found["one"]), int(found["two"])
        if order is None and found["mark"] != "." and one != two:
            return None
        return (int(found["year"]), *((one, two) if order == "month-first" else (two, one)))
    for form in _NAMED:
        if (found := form.fullmatch(day)) and found["name"][:3].lower() in _MONTHS:
            return (
                int(found["year"]),
                1 + _MONTHS.index(found["name"][:3].lower()),
                int(found["day"]),
            )
    return None


def _time(clock: str | None) -> timedelta | None:
    """Return a time of day, in UTC where it has an offset; None if it is none."""
    if clock is None:
        return timedelta()
    found = _CLOCK.fullmatch(clock)
    if found is None:
        return None
    hour, minute, second = int(found["hour"]), int(found["minute"]), int(found["second"] or 0)
    if found["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (found["half"][0] in "Pp")
    if hour > 23 or minute > 59 or second > 59:
        return None
    fraction = float("0." + (found["fraction"] or "0").lstrip(".,"))
    return timedelta(hours=hour, minutes=minute, seconds=second + fraction) - _offset(found["zone"])


def _offset(zone: str | None) -> timedelta:
    if zone is None or zone in ("Z", "UTC"):
        return timedelta()
    digits = zone[1:].replace(":", "")
    size = timedelta(hours=int(digits[:2]), minutes=int(digits[2:4]))
    return -size if zone[0] == "-" else size
