"""Quantities in cells: amounts of money, percentages and durations, as people write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

PERCENT, DURATION, HOURS, MINUTES = "%", "duration", "h:min", "min:s"
DURATIONS = (DURATION, HOURS, MINUTES)
# ISO 4217 code, or a sign of several currencies -> further spellings
_CURRENCIES = {
    "EUR": ("€", "Euro", "euro", "euros", "eur"),
    "USD": ("US$", "usd"),
    "$": (),
    "GBP": ("£", "gbp"),
    "JPY": (),
    "CNY": ("元", "RMB"),
    "¥": ("￥",),
    "INR": ("₹", "Rs", "Rs."),
    "RUB": ("₽",),
    "KRW": ("₩",),
    "TRY": ("₺",),
    "UAH": ("₴",),
    "ILS": ("₪",),
    "VND": ("₫",),
    "PLN": ("zł",),
    "CZK": ("Kč",),
    "BRL": ("R$",),
    "CHF": ("Fr.", "SFr."),
    "CAD": ("C$", "CA$"),
    "AUD": ("A$", "AU$"),
    "kr": (),
    **dict.fromkeys(("SEK", "NOK", "DKK", "HUF", "RON", "BGN", "MXN", "SGD", "HKD", "NZD"), ()),
    **dict.fromkeys(("ZAR", "THB", "IDR", "MYR", "AED", "SAR", "CLP", "COP", "ARS"), ()),
}
_UNIT_OF = {spelling: unit for unit, more in _CURRENCIES.items() for spelling in (unit, *more)} | {
    "%": PERCENT
}
_NUMBER = r"(?P<number>[.,]?\d[\d.,'\u2019\s]*?)"
# Money without cents: 12,- and 12.--
_CELL = re.compile(
    r"(?P<open>\()?\s*(?P<sign>[-+\u2212])?\s*(?P<before>[^\d\s()+\u2212,-][^\d()+\u2212-]{0,6}?)?"
    rf"\s*(?P<inner>[-+\u2212])?\s*{_NUMBER}(?:[.,]-{{1,2}})?"
    r"\s*(?P<after>[^\d\s.,()'\u2019-][^\d()]{0,6}?)?\s*(?(open)\))"
)
_LONGEST = 40

_SECONDS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}
_CLOCK = re.compile(
    r"(?P<sign>-)?(?:(?P<d>\d+) days?,? )?(?P<first>\d{1,4}):(?P<second>[0-5]?\d)"
    r"(?::(?P<third>[0-5]?\d(?:[.,]\d+)?))?"
)
_PART = re.compile(
    r"(?P<amount>\d+(?:[.,]\d+)?)\s*(?P<unit>days?|h|hrs?|hours?|Std|Stunden?|heures?|mins?|minutes?"
    r"|Min|Minuten?|m|s|secs?|seconds?|Sek|Sekunden?|secondes?)?(?![^\W\d_])\.?[\s,]*(?:and\s+)?"
)


def unit_of(cell: str) -> tuple[str, str] | None:
    """Return the unit of a cell and its number as written, such as ``EUR`` and ``1.234``; None if
    it is no number next to a unit."""
    if len(cell) > _LONGEST:
        return None
    found = _CELL.fullmatch(cell)
    if found is None or bool(found["before"]) == bool(found["after"]):
        return None
    unit = canonical(found["before"] or found["after"])
    return None if unit is None else (unit, found["number"].strip())


def canonical(unit: str) -> str | None:
    """Return the one name of a known unit: ``EUR`` for ``€``; None: unknown."""
    return _UNIT_OF.get(unit.strip())


def is_money(unit: str) -> bool:
    """Whether a unit is a currency."""
    return unit in _CURRENCIES


def without_unit(cell: str, unit: str) -> str:
    """Return a cell's number without its unit, which it need not have, in the marks of the cell;
    ``no number`` for other cells. Amounts in parentheses are negative."""
    if unit in DURATIONS:
        seconds = seconds_of(cell, unit)
        return _in_words(cell) if seconds is None else repr(seconds)
    found = _pattern(unit).fullmatch(cell) if len(cell) <= _LONGEST else None
    if found is None:
        return "no number"
    negative = bool(found["open"]) or "-" in _signs(found) or "\u2212" in _signs(found)
    return ("-" if negative else "") + found["number"].strip()


def _signs(found: re.Match[str]) -> str:
    return (found["sign"] or "") + (found["inner"] or "")


def _in_words(cell: str) -> str:
    """Return a duration that is a plain number, of seconds; other text is no number."""
    try:
        return repr(float(cell))
    except ValueError:
        return "no number"


@lru_cache(maxsize=64)
def _pattern(unit: str) -> re.Pattern[str]:
    name = canonical(unit) or unit
    spellings = {unit, *(s for s, known in _UNIT_OF.items() if known == name)}
    any_of = "|".join(re.escape(s) for s in sorted(spellings, key=len, reverse=True))
    return re.compile(
        rf"(?P<open>\()?\s*(?P<sign>[-+\u2212])?\s*(?:{any_of})?\s*(?P<inner>[-+\u2212])?\s*"
        rf"{_NUMBER}(?:[.,]-{{1,2}})?\s*(?:{any_of})?\s*(?(open)\))"
    )


def clock_fields(cell: str) -> int:
    """Return how many fields a clock such as ``1:23:45`` has; 0 for other cells."""
    found = _CLOCK.fullmatch(cell) if len(cell) <= _LONGEST else None
    if found is None:
        return 0
    return 3 if found["third"] or found["d"] else 2


def seconds_of(cell: str, unit: str = DURATION) -> float | None:
    """Return a duration in seconds; None if the cell is none.

    Args:
        cell: ``1:23:45``, ``2h 30min``, ``90 min``.
        unit: how two fields, as in ``1:23``, are read: ``h:min``, ``min:s``, or, ``duration``, not.
    """
    if len(cell) > _LONGEST:
        return None
    clock = _CLOCK.fullmatch(cell)
    if clock is not None:
        return _of_clock(clock.groupdict(), unit)
    return _of_words(cell)


def _of_clock(fields: Mapping[str, str | None], unit: str) -> float | None:
    first, second = float(fields["first"] or 0), float(fields["second"] or 0)
    third, days = fields["third"], float(fields["d"] or 0)
    if third is None and unit == MINUTES and not days:
        total = 60 * first + second
    elif third is None and unit == DURATION and not days:
        return None
    else:
        total = 3600 * first + 60 * second + float((third or "0").replace(",", "."))
    return (-1 if fields["sign"] else 1) * (86_400 * days + total)


def _of_words(cell: str) -> float | None:
    """Return the seconds of ``2h 30min``; minutes after hours need no unit, as in ``2h30``."""
    parts, end = list[tuple[float, str]](), 0
    while end < len(cell):
        found = _PART.match(cell, end)
        if found is None:
            return None
        end = found.end()
        unit = _letter(found["unit"]) if found["unit"] else "m" if _last(parts) == "h" else ""
        if not unit or "dhms".find(unit) <= "dhms".find(_last(parts)):
            return None
        parts.append((float(found["amount"].replace(",", ".")), unit))
    meters = len(parts) == 1 and re.search(r"\dm|\sm", cell) and cell.endswith("m")
    return None if not parts or meters else sum(n * _SECONDS[unit] for n, unit in parts)


def _last(parts: list[tuple[float, str]]) -> str:
    return parts[-1][1] if parts else " "


def _letter(unit: str) -> str:
    return "h" if unit.lower().startswith("st") else unit[0].lower()
