"""Readers of table files in chunks of rows: JSON Lines and Parquet; CSV and TSV in `delimited`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jlrun.data.tables.files.bad_rows import BadRows
from jlrun.data.tables.files.layout import (
    ROWS_AT_ONCE,
    Chunk,
    Reading,
    as_cell,
    check_text_start,
    format_of,
    is_wide,
    not_text,
)
from jlrun.data.tables.files.levels import Missing
from jlrun.errors import UserError
from jlrun.files.limits import check_room


def read_chunks(path: Path, reading: Reading, bad: BadRows, where: str) -> Iterator[Chunk]:
    """Yield the rows of a file in order, in bounded memory.

    Args:
        path: the file; its ending decides the format.
        reading: how it is written.
        bad: receives rows that can't be split into cells.
        where: config path of the data set, for errors.

    Raises:
        UserError: if the file is missing, empty, or of another format.
    """
    match format_of(path, f"{where}.path"):
        case "delimited":
            from jlrun.data.tables.files.delimited import read_delimited  # imports pyarrow

            yield from read_delimited(path, reading, bad, where)
        case "json lines":
            yield from read_json_lines(path, reading, bad, where)
        case _:
            yield from read_parquet(path, reading, where)


def read_json_lines(path: Path, reading: Reading, bad: BadRows, where: str) -> Iterator[Chunk]:
    """Yield the rows of a JSON Lines file; a key that an object lacks is a missing cell.

    A line that is not an object of plain values (or lists of them) goes to ``bad``.

    Raises:
        UserError: if the file has no rows, or is one JSON list.
    """
    check_text_start(path, reading, where)
    typed, places, empty = _TypedCells(reading), list[int](), True
    rows = list[dict[str, str]]()
    try:
        for place, line in enumerate(_lines(path, reading), start=1):
            if place == 1 and line.lstrip().startswith(b"["):
                raise UserError.of(str(path), "is a JSON list; write one object on each line")
            if not line.strip():
                continue
            row = _row(line, place, reading, typed, bad, where)
            if row is not None:
                places.append(place)
                rows.append(row)
            if len(rows) == ROWS_AT_ONCE:
                yield _chunk(places, rows, typed.take_words())
                places, rows, empty = [], [], False
    except UnicodeError as error:
        raise not_text(path, reading, error, where) from error
    if rows:
        yield _chunk(places, rows, typed.take_words())
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
    line: bytes, place: int, reading: Reading, typed: _TypedCells, bad: BadRows, where: str
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
        return {str(name): typed.cell(str(name), value) for name, value in found.items()}
    except (ValueError, RecursionError) as error:
        bad.add(place, "nested value", str(error))
        return None


def _chunk(
    places: Sequence[int],
    rows: Sequence[Mapping[str, str]],
    words: Mapping[str, Mapping[str, int]],
) -> Chunk:
    names = dict.fromkeys(name for row in rows for name in row)
    return Chunk(places, {name: [row.get(name, "") for row in rows] for name in names}, words)


class _TypedCells:
    """Typed values as texts, and the words among them that were taken for missing."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._columns: dict[str, tuple[Missing, str]] = {}
        self._words: dict[str, Counter[str]] = {}

    def cell(self, name: str, value: Any) -> str:
        """Return a value as the text of a cell of a column."""
        if name not in self._columns:
            marks = self._reading.marks(name)
            self._columns[name] = self._reading.missing_in(name), marks.decimal
        found = as_cell(value, *self._columns[name])
        if not found and isinstance(value, str) and value.strip():
            self._words.setdefault(name, Counter())[value.strip()] += 1
        return found

    def take_words(self) -> dict[str, Counter[str]]:
        """Return column -> word -> cells since the last call."""
        words, self._words = self._words, {}
        return words


def read_parquet(path: Path, reading: Reading, where: str) -> Iterator[Chunk]:
    """Yield the rows of a Parquet file; their places are row numbers from 1.

    Raises:
        UserError: if the file is not Parquet, or a column has nested values.
    """
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    typed, place = _TypedCells(reading), 1
    try:
        with ParquetFile(path) as file:
            groups = [file.metadata.row_group(i) for i in range(file.num_row_groups)]
            largest = max((group.total_byte_size for group in groups), default=0)
            check_room(path, largest, "a row group")
            for batch in file.iter_batches(batch_size=ROWS_AT_ONCE):
                cells = {
                    name: [typed.cell(name, value) for value in _values(column)]
                    for name, column in zip(batch.schema.names, batch.columns, strict=True)
                    if not name.startswith("__index_level_")  # pandas's row labels
                }
                if batch.num_rows:
                    places = range(place, place + batch.num_rows)
                    yield Chunk(places, cells, typed.take_words())
                place += batch.num_rows
    except UserError:
        raise
    except (ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError.of(str(path), f"not a readable Parquet file ({reason})") from error
    if place == 1:
        raise UserError.of(f"{where}.path", f"'{path}' has no rows")


def _values(column: Any) -> list[Any]:
    """Return the values of an array; float32 values as the shortest equal number, as other formats
    write it: 0.1, not 0.10000000149011612."""
    from pyarrow import types

    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    values = column.to_pylist()
    if types.is_float16(column.type) or types.is_float32(column.type):
        kind = np.float16 if types.is_float16(column.type) else np.float32
        return [None if value is None else float(str(kind(value))) for value in values]
    return values
