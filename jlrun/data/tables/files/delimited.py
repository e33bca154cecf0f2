"""CSV and TSV files: cells between delimiters, quoted if they contain one; read by pyarrow."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np
import pyarrow as pa
from pyarrow import csv

from jlrun.data.tables.files.bad_rows import BadRows
from jlrun.data.tables.files.framing import Framing, Records, broken_byte, read_start
from jlrun.data.tables.files.layout import (
    ROWS_AT_ONCE,
    Chunk,
    Reading,
    check_text_start,
    format_of,
    not_text,
)
from jlrun.data.tables.files.levels import Missing
from jlrun.errors import UserError

LONGEST_CELL = 1 << 20
_DELIMITERS = (",", ";", "\t", "|")
_FIRST_ROWS = 50
_NUMBER = re.compile(r"[-+]?\d+([.,]\d+)?([eE][-+]?\d+)?")
_LARGEST_BLOCK = 2**31 - 1  # of pyarrow
_PLACES = "places"


def read_delimited(path: Path, reading: Reading, bad: BadRows, where: str) -> Iterator[Chunk]:
    """Yield the rows of a CSV or TSV file (RFC 4180, any delimiter in ASCII).

    A row with more or fewer cells than the header, broken quotes or broken bytes goes to ``bad``.
    A quote that is never closed costs its own line, not the lines that follow.

    Raises:
        UserError: if the file has no rows, or no header that could name its columns.
    """
    try:
        yield from _chunks(path, reading, bad, where)
    except UnicodeError as error:  # multi-byte encodings have no surrogateescape
        raise not_text(path, reading, error, where) from error
    except pa.ArrowException as error:
        raise UserError.of(str(path), f"not a readable table ({_reason(error)})") from error


def _chunks(path: Path, reading: Reading, bad: BadRows, where: str) -> Iterator[Chunk]:
    with _open(path, reading, where) as file:
        start = read_start(file)
        delimiter = _delimiter(path, start, reading, where)
        header, end = _header(path, start, delimiter, where)
        framing, empty = Framing(delimiter, len(header)), True
        missing = {name: reading.missing_in(name) for name in header}
        line = 1 + len(re.findall(rb"\r\n?|\n", start[:end]))
        pieces = framing.read(file, start[end:], line)
        tables = (_split(piece, len(header), delimiter, framing, bad) for piece in pieces)
        for table in _in_chunks(tables):
            empty = False
            yield _chunk(header, table, missing)
        if empty and not bad.num_rows:
            raise UserError.of(f"{where}.path", f"'{path}' has a header and no rows")


def delimiter_of(path: Path, reading: Reading, where: str) -> str | None:
    """Return the mark between the cells of a file; None for other formats than CSV and TSV."""
    if format_of(path, f"{where}.path") != "delimited":
        return None
    with _open(path, reading, where) as file:
        return _delimiter(path, read_start(file), reading, where)


def _open(path: Path, reading: Reading, where: str) -> TextIO:
    encoding = "utf-8-sig" if reading.encoding.lower() in ("utf-8", "utf8") else reading.encoding
    start = check_text_start(path, reading, where)
    if start[:1] in (b"{", b"[") and _is_json(start):
        fix = "save one object on each line, in a file called .jsonl"
        raise UserError.of(str(path), f"holds JSON, not a table of cells; {fix}")
    try:
        return path.open(encoding=encoding, errors="surrogateescape", newline="")
    except (LookupError, ValueError) as error:
        raise UserError.of(f"{where}.reading.encoding", str(error)) from error


def _is_json(start: bytes) -> bool:
    """Whether a file with this start is JSON: by its first line, or a lone brace in it."""
    first = start.split(b"\n")[0].strip()
    try:
        return first in (b"{", b"[", b"[{") or isinstance(json.loads(first), dict | list)
    except (ValueError, RecursionError):
        return first.startswith((b'{"', b'[{"'))


def _read(
    content: bytes, delimiter: str, names: Sequence[str] | None, wrong: list[int]
) -> pa.Table:
    """Return the cells of records as texts; ``names`` None: as any type, by the first record.

    Positions of records with another number of cells are added to ``wrong``.
    """

    def skip(row: csv.InvalidRow) -> str:
        wrong.append(row.number - 1)
        return "skip"

    return csv.read_csv(
        pa.BufferReader(content),
        csv.ReadOptions(
            use_threads=False,  # with threads, invalid rows have no number
            block_size=min(len(content) + 1, _LARGEST_BLOCK),
            column_names=names,
            autogenerate_column_names=names is None,
        ),
        csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=skip),
        csv.ConvertOptions(
            check_utf8=names is not None,
            column_types=dict.fromkeys(names or (), pa.string()),
            strings_can_be_null=False,
        ),
    )


def _split(
    records: Records, width: int, delimiter: str, framing: Framing, bad: BadRows
) -> pa.Table:
    """Return the cells of good records, with their places as the last column."""
    bad.extend(records.bad)
    places, names, wrong = records.places, [str(i) for i in range(width)], list[int]()
    if not len(places):
        return pa.table({name: pa.array([], pa.string()) for name in names} | {_PLACES: places})
    table = _read(records.content, delimiter, names, wrong)
    fitted = {i: cut for i in wrong if (cut := framing.fitted(records[i])) is not None}
    for i in wrong:
        if i not in fitted:
            bad.add(int(places[i]), "wrong number of cells", framing.wrong_width(records[i]))
    rows = np.delete(np.arange(len(places)), wrong)
    if fitted:
        further = _read(b"\n".join(fitted.values()), delimiter, names, [])
        rows = np.append(rows, list(fitted))
        table = pa.concat_tables([table, further]).take(np.argsort(rows))
        rows.sort()
    table = table.append_column(_PLACES, pa.array(places[rows]))
    longest = int((records.spans[:, 1] - records.spans[:, 0]).max())
    return _without_long_cells(table, bad) if longest > LONGEST_CELL else table


def _without_long_cells(table: pa.Table, bad: BadRows) -> pa.Table:
    rows = zip(*(column.to_pylist() for column in table.columns[:-1]), strict=True)
    long = np.array([max(map(len, cells)) > LONGEST_CELL for cells in rows])
    for place in table[_PLACES].to_numpy()[long].tolist():
        bad.add(place, "cell too long", f"more than {LONGEST_CELL:,} characters in a cell")
    return table.filter(pa.array(~long))


def _in_chunks(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield the rows of tables anew, `ROWS_AT_ONCE` in each but the last."""
    pending, count = list[pa.Table](), 0
    for table in tables:
        pending.append(table)
        count += table.num_rows
        if count >= ROWS_AT_ONCE:
            whole, full = pa.concat_tables(pending), count - count % ROWS_AT_ONCE
            yield from (whole.slice(i, ROWS_AT_ONCE) for i in range(0, full, ROWS_AT_ONCE))
            pending, count = [whole.slice(full)], count - full
    if count:
        yield pa.concat_tables(pending)


def _chunk(header: Sequence[str], table: pa.Table, missing: Mapping[str, Missing]) -> Chunk:
    columns = (column.to_numpy().tolist() for column in table.columns[:-1])
    cells, words = dict[str, list[str]](), dict[str, Counter[str]]()
    for name, column in zip(header, columns, strict=True):
        written, absent = list(map(str.strip, column)), missing[name]
        cells[name] = ["" if cell in absent else cell for cell in written]
        if cells[name] != written:
            pairs = zip(written, cells[name], strict=True)
            words[name] = Counter(before for before, after in pairs if before != after)
    return Chunk(table[_PLACES].to_pylist(), cells, words)


def _header(path: Path, start: bytes, delimiter: str, where: str) -> tuple[list[str], int]:
    """Return the names of the columns, and where their record ends: the first that isn't empty."""
    framing, end = Framing(delimiter), 0
    while end < len(start):
        record = framing.first(start, end)
        if record is None:
            break
        end += len(record)
        if broken_byte(record):
            fix = f"set {where}.reading.encoding, such as latin-1"
            raise UserError.of(str(path), f"the names of the columns are not decodable text; {fix}")
        if record.strip(b"\r\n"):
            names = [str(i) for i in range(framing.num_cells(record))]
            (fields,) = _read(record, delimiter, names, []).to_pylist()
            if any(fields.values()):
                return _names(path, list(fields.values())), end
    raise UserError.of(f"{where}.path", f"'{path}' is empty, or its first line can't be read")


def _names(path: Path, fields: Sequence[str]) -> list[str]:
    names = [name.strip() or f"column {i}" for i, name in enumerate(fields, start=1)]
    if all(_NUMBER.fullmatch(name) for name in names):
        found = ", ".join(names[:5])
        raise UserError.of(str(path), f"line 1 must name the columns; found numbers: {found}")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UserError.of(str(path), f"two columns are called '{twice[0]}'; rename one")
    return names


def _delimiter(path: Path, start: bytes, reading: Reading, where: str) -> str:
    """Return the given delimiter, or the one that splits the first rows into the widest table."""
    if reading.delimiter is not None:
        found = reading.delimiter
        if len(found) != 1 or not found.isascii() or found in '"\r\n\0':
            expected = 'expected one ASCII character, no quote (") or line end'
            raise UserError.of(f"{where}.reading.delimiter", f"{found!r}: {expected}")
        return found
    if path.suffix.lower() in (".tsv", ".tab"):
        return "\t"
    # A handler of invalid rows is not called for one whose text is undecodable.
    text = start.decode("utf-8", "surrogatepass").encode("utf-8", "replace")
    return max(_DELIMITERS, key=lambda delimiter: _fit(text, delimiter))


def _fit(start: bytes, delimiter: str) -> float:
    """Return the number of columns times the share of the first rows with that many cells; 0 for a
    single column."""
    wrong = list[int]()
    try:
        table = _read(start, delimiter, None, wrong)
    except pa.ArrowException:
        return 0.0
    num_rows = min(table.num_rows + len(wrong), _FIRST_ROWS)
    if table.num_columns == 1 or not num_rows:
        return 0.0
    return table.num_columns * (1 - sum(row < _FIRST_ROWS for row in wrong) / num_rows)


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())
