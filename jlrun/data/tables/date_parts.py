"""Parts of dates as numbers: days since an origin, and where in the year, week and day."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import get_args

import numpy as np

from jlrun.data.specs import DateColumn, DatePart

_DAY = 86_400.0
_DAYS_OF_A_YEAR = 365.2425
PARTS: tuple[DatePart, ...] = get_args(DatePart)


def part_names(date: DateColumn) -> tuple[str, ...]:
    """Return names of the numbers of a column of dates."""
    return tuple(f"{date.column}: {part}" for part in date.parts)


def learn_dates(column: str, seconds: Iterable[np.ndarray]) -> DateColumn:
    """Return a column of dates whose origin is the first date, with the parts that vary.

    Args:
        column: its name.
        seconds: since 1970, of the training rows, float64 ``(N,)`` each, NaN where missing.
    """
    first, last = dict[DatePart, float](), dict[DatePart, float]()
    origin = np.inf
    for some in seconds:
        known = some[~np.isnan(some)]
        if len(known):
            origin = min(origin, float(known.min()))
            for part in PARTS:
                values = _OF_PART[part](known)
                first[part] = min(first.get(part, np.inf), float(values.min()))
                last[part] = max(last.get(part, -np.inf), float(values.max()))
    varying: list[DatePart] = [p for p in PARTS if p in first and last[p] > first[p]]
    parts = tuple(varying or PARTS[:1])
    return DateColumn(column, 0.0 if np.isinf(origin) else origin, parts)


def parts_of(date: DateColumn, seconds: np.ndarray) -> np.ndarray:
    """Return the parts of dates, float64 ``(N, P)``, NaN where a date is missing.

    Args:
        date: the column, with its P parts.
        seconds: since 1970, ``(N,)``.
    """
    found = np.full((len(seconds), len(date.parts)), np.nan)
    known = ~np.isnan(seconds)
    for i, part in enumerate(date.parts):
        shift = date.origin if part == "days" else 0.0
        found[known, i] = _OF_PART[part](seconds[known] - shift)
    return found


def _calendar(seconds: np.ndarray, unit: str) -> np.ndarray:
    days = np.floor(seconds / _DAY).astype(np.int64).astype("datetime64[D]")
    return days.astype(f"datetime64[{unit}]").astype(np.int64)


def _month(seconds: np.ndarray) -> np.ndarray:
    return _calendar(seconds, "M") % 12 + 1.0


def _year(seconds: np.ndarray) -> np.ndarray:
    return _calendar(seconds, "Y") + 1970.0


def _weekday(seconds: np.ndarray) -> np.ndarray:
    return (np.floor(seconds / _DAY) + 3) % 7  # 1970 began on a Thursday


def _hour(seconds: np.ndarray) -> np.ndarray:
    return seconds % _DAY / 3600


def _turn_of_year(seconds: np.ndarray) -> np.ndarray:
    years = _calendar(seconds, "Y").astype("datetime64[Y]")
    start = years.astype("datetime64[D]").astype(np.int64)
    return (np.floor(seconds / _DAY) - start) / _DAYS_OF_A_YEAR


def _cyclic(
    turn: Callable[[np.ndarray], np.ndarray], wave: Callable[[np.ndarray], np.ndarray]
) -> Callable[[np.ndarray], np.ndarray]:
    # Without the rounding of sine and cosine, places that mirror each other have equal values.
    return lambda seconds: wave(2 * np.pi * turn(seconds)).round(9)


def _turn_of_week(seconds: np.ndarray) -> np.ndarray:
    return _weekday(seconds) / 7


def _turn_of_day(seconds: np.ndarray) -> np.ndarray:
    return seconds % _DAY / _DAY


_OF_PART: Mapping[DatePart, Callable[[np.ndarray], np.ndarray]] = {
    "days": lambda seconds: seconds / _DAY,
    "year": _year,
    "month": _month,
    "weekday": _weekday,
    "hour": _hour,
    "year sine": _cyclic(_turn_of_year, np.sin),
    "year cosine": _cyclic(_turn_of_year, np.cos),
    "week sine": _cyclic(_turn_of_week, np.sin),
    "week cosine": _cyclic(_turn_of_week, np.cos),
    "day sine": _cyclic(_turn_of_day, np.sin),
    "day cosine": _cyclic(_turn_of_day, np.cos),
}
