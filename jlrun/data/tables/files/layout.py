"""Layout of table files: format, delimiter, encoding, marks within numbers, missing values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict

from jlrun.data.tables.files.dates import Order
from jlrun.data.tables.files.levels import Missing
from jlrun.data.tables.files.numbers import Marks
from jlrun.errors import UserError
from jlrun.files.regular import check_regular

MISSING = ("", "NA", "N/A", "#N/A", "NaN", "nan", "null", "NULL", "None")
SUFFIXES = {
    ".csv": "delimited",
    ".tsv": "delimited",
    ".tab": "delimited",
    ".jsonl": "json lines",
    ".ndjson": "json lines",
    ".parquet": "parquet",
    ".pq": "parquet",
}
FORMATS = "CSV (.csv), TSV (.tsv), JSON Lines (.jsonl) or Parquet (.parquet)"

# Names for marks that have another meaning for a shell or Hydra.
_MARKS = {
    "comma": ",",
    "point": ".",
    "dot": ".",
    "semicolon": ";",
    "tab": "\t",
    "pipe": "|",
    "space": " ",
    "apostrophe": "'",
}


ROWS_AT_ONCE = 10_000


def _mark(*allowed: str) -> AfterValidator:
    """Return a validator that turns the name of a mark into the mark, if it is ``allowed``."""

    def mark(text: str) -> str:
        found = _MARKS.get(text.lower(), text)
        if found in allowed:
            return found
        names = ", ".join(name for name, value in _MARKS.items() if value in allowed)
        raise ValueError(f"unknown mark: write {names.replace(', dot', '')}")

    return AfterValidator(mark)


def _cell(value: Any) -> Any:
    """Return the text of a cell that YAML has read as a number or the like."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value) if isinstance(value, int | float) else value


def _delimiter(text: str) -> str:
    return _MARKS.get(text.lower(), text)


Decimal = Annotated[str, _mark(".", ",")]
Thousands = Annotated[str, _mark(",", ".", " ", "'")]
Words = tuple[Annotated[str, BeforeValidator(_cell)], ...]


@dataclass(frozen=True)
class ColumnReading:
    """How the cells of one column are written, where it differs from the rest of the file.

    Attributes:
        decimal, thousands, missing: as in `Reading`.
        unit: next to its numbers: a currency, ``%``, or any other; or how durations are written:
            ``duration`` (``1:23:45``, ``2h 30min``), ``h:min`` or ``min:s``; all in seconds.
        dates: which comes first in dates such as ``03/04/2024``.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    decimal: Decimal | None = None
    thousands: Thousands | None = None
    missing: Words | None = None
    unit: str | None = None
    dates: Order | None = None

    def to_plain(self) -> dict[str, Any]:
        """Return what is set, as an entry of a config."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        plain["missing"] = None if self.missing is None else list(self.missing)
        return {name: value for name, value in plain.items() if value is not None}


@dataclass(frozen=True)
class Reading:
    """Reading options: how a file is split into cells, and how they are parsed.

    Attributes:
        delimiter: between the cells of a line; None: found from the first lines (a tab in TSV).
        encoding: of the text.
        decimal: decimal separator: a point or a comma.
        thousands: thousands separator: a comma, point, space or apostrophe; None: inferred from
            the numbers, where it is unambiguous.
        missing: contents of cells that count as missing.
        columns: column -> how its cells are written, where that differs.
    """

    delimiter: Annotated[str, AfterValidator(_delimiter)] | None = None
    encoding: str = "utf-8"
    decimal: Decimal = "."
    thousands: Thousands | None = None
    missing: Words = MISSING
    columns: Mapping[str, ColumnReading] = field(default_factory=dict, hash=False)

    def marks(self, column: str) -> Marks:
        """Return the marks within numbers of a column."""
        own = self.columns.get(column, ColumnReading())
        other = {".": ",", ",": "."}.get(own.thousands or "", self.decimal)
        decimal = own.decimal or other
        thousands = own.thousands or (self.thousands if decimal == self.decimal else None)
        return Marks(decimal, thousands, own.unit)

    def missing_in(self, column: str) -> Missing:
        """Return the contents of cells that count as missing in a column."""
        own = self.columns.get(column, ColumnReading()).missing
        return Missing(self.missing if own is None else own)

    def dates(self, column: str) -> Order | None:
        """Return the order of day and month in a column."""
        return self.columns.get(column, ColumnReading()).dates

    def with_columns(self, columns: Mapping[str, ColumnReading]) -> Reading:
        """Return the reading with these columns; what is said of a column already stays."""
        merged = dict(self.columns)
        for name, found in columns.items():
            said = merged.get(name, ColumnReading()).to_plain()
            merged[name] = replace(found, **{key: getattr(merged[name], key) for key in said})
        return replace(self, columns=merged)


@dataclass(frozen=True)
class Chunk:
    """Some rows of a file.

    Attributes:
        places: for each row its first line, from 1, as an editor shows it; in Parquet, the row
            number.
        cells: column -> its cells, stripped; empty where missing.
        words: column -> word that was taken for missing -> number of cells.
    """

    places: Sequence[int]
    cells: dict[str, list[str]]
    words: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def format_of(path: Path, where: str) -> str:
    """Return the format by a file's name: ``delimited``, ``json lines`` or ``parquet``.

    Raises:
        UserError: at ``where``, if the file is missing or has another ending.
    """
    if path.is_dir():
        raise UserError.of(where, f"'{path}' is a folder; name the table: {FORMATS}")
    if not path.exists():
        near = sorted(file.name for file in path.parent.glob(f"{path.stem}.*")) or sorted(
            file.name for file in path.parent.glob("*") if file.suffix.lower() in SUFFIXES
        )
        there = f"; its folder has {', '.join(near[:5])}" if near else ""
        raise UserError.of(where, f"there is no file '{path}'{there}")
    check_regular(path, where)
    found = SUFFIXES.get(path.suffix.lower())
    if found is None:
        raise UserError.of(where, f"'{path.name}' is not {FORMATS}, by its name")
    return found


def place_word(path: Path) -> str:
    """Return the word for a row's place in a file: ``row`` or ``line``."""
    return "row" if SUFFIXES.get(path.suffix.lower()) == "parquet" else "line"


def as_cell(value: Any, missing: Missing, decimal: str) -> str:
    """Return a typed value as the text of a cell: lists as ``a|b``, None and NaN as ``""``.

    Fractions get the decimal separator with which texts of the column are read.

    Raises:
        ValueError: for a nested value.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        text = "" if value != value else repr(value)
        return "" if text in missing else text.replace(".", decimal)
    if isinstance(value, list | tuple):
        return "|".join(as_cell(item, missing, decimal) for item in value)
    if isinstance(value, dict):
        raise ValueError(f"an object in a cell: {str(value)[:40]}")
    if isinstance(value, bytes):
        raise ValueError("bytes in a cell; store files, and name them")
    text = str(value).strip()
    return "" if text in missing else text


_LOOKED_AT = 4096


def check_text_start(path: Path, reading: Reading, where: str) -> bytes:
    """Check the first bytes of a text file, and return them.

    Raises:
        UserError: if they are not text of the encoding: compressed, or of another character width.
    """
    with path.open("rb") as file:
        start = file.read(_LOOKED_AT)
    if start[:2] in (b"\x1f\x8b", b"PK"):
        raise UserError.of(str(path), "is a compressed file or a spreadsheet; save it as text")
    found = _wide_encoding(start)
    if found and not is_wide(reading.encoding):
        fix = f"set {where}.reading.encoding={found}"
        raise UserError.of(str(path), f"is {found.upper()} text, not {reading.encoding}; {fix}")
    return start


def is_wide(encoding: str) -> bool:
    """Whether an encoding has two or four bytes for each character."""
    return any(width in encoding for width in ("16", "32"))


def not_text(path: Path, reading: Reading, error: UnicodeError, where: str) -> UserError:
    """Return the error for a file that is not text of the encoding."""
    reason = getattr(error, "reason", None) or str(error)
    message = f"is not {reading.encoding} text ({reason}); set {where}.reading.encoding"
    return UserError.of(str(path), message)


def _wide_encoding(start: bytes) -> str:
    """Return the multi-byte encoding in which a file begins; '' if none.

    Without a byte order mark, zeros reveal it: most characters of a header are below 256.
    """
    if start[:4] in (b"\xff\xfe\0\0", b"\0\0\xfe\xff"):
        return "utf-32"
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    whole = start[: len(start) // 4 * 4]
    zeros = [whole[i::4].count(0) > 0.4 * len(whole) / 4 for i in range(4)]
    named = {
        (False, True, True, True): "utf-32-le",
        (True, True, True, False): "utf-32-be",
        (False, True, False, True): "utf-16-le",
        (True, False, True, False): "utf-16-be",
    }
    return named.get((zeros[0], zeros[1], zeros[2], zeros[3]), "") if whole else ""
