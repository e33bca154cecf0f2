"""Names of categories, classes and labels, the same for every file format.

The same table has ``True`` in a CSV that pandas wrote, ``TRUE`` in one from a spreadsheet and
``true`` in JSON and Parquet; ``3`` and ``3.0``, midnight of a day and the day, are one value, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import cached_property

_WHOLE = re.compile(r"([-+]?)(\d+)(?:\.0*)?")
# Numbers as computers write them. A bare 1e5 is more likely a code, like 2a7.
_EXPONENT = re.compile(r"[-+]?\d+(\.\d+)?[eE][-+]\d+|[-+]?\d+\.\d+[eE]\d+")
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d{1,3})?")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d)?(\.\d+)?(Z|[-+]\d\d:?\d\d)?")
_BOOLEANS = ("true", "false")
_LARGEST_WHOLE = 2.0**63
# Cells of a split column, in lower case -> split.
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "eval"), "val"),
    **dict.fromkeys(("test", "testing", "tst", "held_out", "heldout"), "test"),
}


def level_name(cell: str) -> str:
    """Return a cell as the name of a class or level; ``5.0`` and ``5`` are one, ``TRUE`` and
    ``true``."""
    first = cell[:1]
    if first in ("t", "T", "f", "F"):
        return cell.lower() if cell.lower() in _BOOLEANS else cell
    if not (first.isdigit() or first in ("-", "+")) or not cell.isascii():
        return cell
    whole = _WHOLE.fullmatch(cell)
    if whole:
        sign = "-" if whole[1] == "-" and whole[2].strip("0") else ""
        return sign + whole[2]
    if _EXPONENT.fullmatch(cell):
        value = float(cell)
        short = value.is_integer() and abs(value) < _LARGEST_WHOLE
        return str(int(value)) if short else repr(value)
    return _time_name(cell)


def _time_name(cell: str) -> str:
    time = _TIME.fullmatch(cell)
    if time is None:
        return cell
    day, minutes, seconds, fraction, zone = time.groups()
    fraction = (fraction or "").rstrip("0").rstrip(".")
    clock = f"{minutes}{seconds or ':00'}{fraction}"
    zone = "+00:00" if zone == "Z" else zone or ""
    return day if clock == "00:00:00" and not zone else f"{day} {clock}{zone}"


class Levels:
    """Index of known names, in which names of other data are looked up.

    Args:
        names: distinct.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._position = {name: i for i, name in enumerate(names)}

    def find(self, name: str) -> int | None:
        """Return the position of a name, else of the only name with the same value, else None.

        Equal numbers are the same (``0.50`` and ``0.5``), and where all names are booleans, or all
        are 0 and 1, booleans are these numbers.
        """
        if name in self._position:
            return self._position[name]
        value = self._value(name)
        return None if value is None else self._by_value.get(value)

    @cached_property
    def _by_value(self) -> dict[Decimal, int | None]:
        found: dict[Decimal, int | None] = {}
        for name, position in self._position.items():
            value = self._value(name)
            if value is not None:
                found[value] = None if value in found else position
        return found

    @cached_property
    def _boolean(self) -> bool:
        return self._position.keys() <= {*_BOOLEANS} or self._position.keys() <= {"0", "1"}

    def _value(self, name: str) -> Decimal | None:
        if name in _BOOLEANS and self._boolean:
            return Decimal(name == "true")
        return Decimal(name) if _NUMBER.fullmatch(name) else None


class Missing:
    """Contents of cells that count as missing; ``-999`` covers ``-999.0``, too."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        self._numbers = {level_name(name) for name in self._names if _NUMBER.fullmatch(name)}

    def __contains__(self, cell: str) -> bool:
        return cell in self._names or (bool(self._numbers) and level_name(cell) in self._numbers)
