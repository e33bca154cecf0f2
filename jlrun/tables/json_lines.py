"""JSON Lines: an object on each line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jlrun.errors import UserError
from jlrun.tables.bad_rows import BadRows
from jlrun.tables.layout import ROWS_AT_ONCE, Chunk, Reading
from jlrun.tables.levels import Missing
from jlrun.tables.plain_cells import as_cell


def read_json_lines(path: Path, reading: Reading, bad: BadRows, where: str) -> Iterator[Chunk]:
    """Yield the rows of a JSON Lines file; a key that an object lacks is a missing cell.

    A line that is not an object of plain values (or lists of them) goes to ``bad``.

    Raises:
        UserError: if the file has no rows, or is one JSON list.
    """
    missing = Missing(reading.missing)
    places, rows, empty = list[int](), list[dict[str, str]](), True
    with path.open("rb") as file:
        for place, line in enumerate(file, start=1):
            if place == 1 and line.lstrip().startswith(b"["):
                raise UserError.of(str(path), "is a JSON list; write one object on each line")
            if not line.strip():
                continue
            row = _row(line, place, reading, missing, bad)
            if row is not None:
                places.append(place)
                rows.append(row)
            if len(rows) == ROWS_AT_ONCE:
                yield _chunk(places, rows)
                places, rows, empty = [], [], False
    if rows:
        yield _chunk(places, rows)
    elif empty and not bad.num_rows:
        raise UserError.of(f"{where}.path", f"'{path}' is empty")


def _row(
    line: bytes, place: int, reading: Reading, missing: Missing, bad: BadRows
) -> dict[str, str] | None:
    try:
        found: Any = json.loads(line.decode(reading.encoding))
    except UnicodeDecodeError as error:
        byte = f"byte 0x{line[error.start]:02x}"
        bad.add(place, "not decodable text", f"{byte}; see reading.encoding")
        return None
    except ValueError as error:
        bad.add(place, "not JSON", str(error).partition(": line")[0])
        return None
    if not isinstance(found, Mapping):
        bad.add(place, "not an object", f"expected {{…}}, found {line.decode().strip()[:40]}")
        return None
    try:
        return {str(name): as_cell(value, missing, reading) for name, value in found.items()}
    except ValueError as error:
        bad.add(place, "nested value", str(error))
        return None


def _chunk(places: Sequence[int], rows: Sequence[Mapping[str, str]]) -> Chunk:
    names = dict.fromkeys(name for row in rows for name in row)
    return Chunk(places, {name: [row.get(name, "") for row in rows] for name in names})
