"""How a file of rows and columns is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jlrun.errors import UserError
from jlrun.regular_files import require_regular

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


@dataclass(frozen=True)
class Reading:
    """How the cells of a file are told apart and understood.

    Attributes:
        delimiter: between the cells of a line; None: found from the first lines (a tab in TSV).
        encoding: of the text.
        decimal: the mark before the fraction of a number.
        missing: what stands in a cell that has no value.
    """

    delimiter: str | None = None
    encoding: str = "utf-8"
    decimal: str = "."
    missing: tuple[str, ...] = MISSING


@dataclass(frozen=True)
class Chunk:
    """Some rows of a file.

    Attributes:
        places: for each row the line it begins at, from 1, as an editor shows it; in Parquet, which
            has no lines, its number.
        cells: column -> its cells, stripped; empty where missing.
    """

    places: Sequence[int]
    cells: dict[str, list[str]]


ROWS_AT_ONCE = 10_000


def format_of(path: Path, where: str) -> str:
    """Return the format that a file's name tells: ``delimited``, ``json lines`` or ``parquet``.

    Raises:
        UserError: at ``where``, if there is no such file, or it is none of these.
    """
    if path.is_dir():
        raise UserError.of(where, f"'{path}' is a folder; name the table: {FORMATS}")
    if not path.exists():
        near = sorted(file.name for file in path.parent.glob(f"{path.stem}.*")) or sorted(
            file.name for file in path.parent.glob("*") if file.suffix.lower() in SUFFIXES
        )
        there = f"; beside it are {', '.join(near[:5])}" if near else ""
        raise UserError.of(where, f"there is no file '{path}'{there}")
    require_regular(path, where)
    found = SUFFIXES.get(path.suffix.lower())
    if found is None:
        raise UserError.of(where, f"'{path.name}' is not {FORMATS}, by its name")
    return found


def place_word(path: Path) -> str:
    """Return what the places of the rows in a file are called."""
    return "row" if SUFFIXES.get(path.suffix.lower()) == "parquet" else "line"
