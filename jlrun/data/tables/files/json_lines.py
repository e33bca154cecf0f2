"""JSON Lines files: an object on each line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jlrun.data.tables.files.bad_rows import BadRows
from jlrun.data.tables.files.layout import ROWS_AT_ONCE, Chunk, Reading, as_cell
from jlrun.data.tables.files.levels import Missing
from jlrun.data.tables.files.text_files import check_text_start, is_wide, not_text
from jlrun.errors import UserError


def read_json_lines(path: Path, reading: Reading, bad: BadRows, where: str) -> Iterator[Chunk]:
    """Yield the rows of a JSON Lines file; a key that an object lacks is a missing cell.

    A line that is not an object of plain values (or lists of them) goes to ``bad``.

    Raises:
        UserError: if the file has no rows, or is one JSON list.
    """
    missing = Missing(reading.missing)
    check_text_start(path, reading, where)
    places, rows, empty = list[int](), list[dict[str, str]](), True
    try:
        for place, line in enumerate(_lines(path, reading), start=1):
            if place == 1 and line.lstrip().startswith(b"["):
                raise UserError.of(str(path), "is a JSON list; write one object on each line")
            if not line.strip():
                continue
            row = _row(line, place, reading, missing, bad, where)
            if row is not None:
                places.append(place)
                rows.append(row)
            if len(rows) == ROWS_AT_ONCE:
                yield _chunk(places, rows)
                places, rows, empty = [], [], False
    except UnicodeError as error:
        raise not_text(path, reading, error, where) from error
    if rows:
        yield _chunk(places, rows)
    elif empty and not bad.num_rows:
        raise UserError.of(f"{where}.path", f"'{path}' is empty")


def _lines(path: Path, reading: Reading) -> Iterator[bytes]:
    """Yield the lines of a file, converted to UTF-8 from encodings with wide characters."""
    if not is_wide(reading.encoding):
        with path.open("rb") as file:
            yield from file
        return
    with path.open(encoding=reading.encoding) as file:
        yield from (line.encode("utf-8", "surrogatepass") for line in file)


def _row(
    line: bytes, place: int, reading: Reading, missing: Missing, bad: BadRows, where: str
) -> dict[str, str] | None:
    try:
        found: Any = json.loads(
            line.decode("utf-8" if is_wide(reading.encoding) else reading.encoding)
        )
    except UnicodeDecodeError as error:
        byte = f"byte 0x{line[error.start]:02x}"
        bad.add(place, "not decodable text", f"{byte}; see reading.encoding")
        return None
    except LookupError as error:
        raise UserError.of(f"{where}.reading.encoding", str(error)) from error
    except RecursionError:
        bad.add(place, "not JSON", "nested too deeply")
        return None
    except ValueError as error:
        bad.add(place, "not JSON", str(error).partition(": line")[0])
        return None
    if not isinstance(found, Mapping):
        bad.add(place, "not an object", f"expected {{…}}, found {str(found)[:40]}")
        return None
    try:
        return {str(name): as_cell(value, missing, reading) for name, value in found.items()}
    except (ValueError, RecursionError) as error:
        bad.add(place, "nested value", str(error))
        return None


def _chunk(places: Sequence[int], rows: Sequence[Mapping[str, str]]) -> Chunk:
    names = dict.fromkeys(name for row in rows for name in row)
    return Chunk(places, {name: [row.get(name, "") for row in rows] for name in names})
