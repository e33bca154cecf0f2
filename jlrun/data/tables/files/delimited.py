"""CSV and TSV files: cells between delimiters, quoted if they contain one."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from jlrun.data.tables.files.bad_rows import BadRows
from jlrun.data.tables.files.layout import ROWS_AT_ONCE, Chunk, Reading, check_text_start, not_text
from jlrun.data.tables.files.levels import Missing
from jlrun.errors import UserError

LONGEST_CELL = 1 << 20
_DELIMITERS = (",", ";", "\t", "|")
_FIRST_ROWS = 50
_NUMBER = re.compile(r"[-+]?\d+([.,]\d+)?([eE][-+]?\d+)?")
# Undecodable bytes become these characters (PEP 383, surrogateescape).
_BROKEN = re.compile("[\udc80-\udcff]")


def read_delimited(path: Path, reading: Reading, bad: BadRows, where: str) -> Iterator[Chunk]:
    """Yield the rows of a CSV or TSV file (RFC 4180, any delimiter).

    A row with more or fewer cells than the header, broken quotes or broken bytes goes to ``bad``.
    A quote that is never closed costs its own line, not the lines that follow.

    Raises:
        UserError: if the file has no rows, or no header that could name its columns.
    """
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_CELL))
    try:
        yield from _chunks(path, reading, bad, where)
    except UnicodeError as error:  # multi-byte encodings have no surrogateescape
        raise not_text(path, reading, error, where) from error


def _chunks(path: Path, reading: Reading, bad: BadRows, where: str) -> Iterator[Chunk]:
    with _open(path, reading, where) as file:
        records = _Records(_Lines(file), _delimiter(path, reading, where))
        header = _header(path, next(iter(records), None), where)
        missing, empty = Missing(reading.missing), True
        places, rows = list[int](), list[list[str]]()
        for place, fields in records.after_header(len(header), bad):
            places.append(place)
            rows.append(fields)
            if len(rows) == ROWS_AT_ONCE:
                yield _chunk(header, places, rows, missing)
                places, rows, empty = [], [], False
        if rows:
            yield _chunk(header, places, rows, missing)
        elif empty and not bad.num_rows:
            raise UserError.of(f"{where}.path", f"'{path}' has a header and no rows")


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


class _Lines:
    """Numbered lines of a file; the lines of the current record can be pushed back."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._again: deque[str] = deque()
        self._record: list[str] = []
        self.number = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._file)
        self.number += 1
        self._record.append(line)
        return line

    def begin(self) -> int:
        """Begin a record, and return the number of its first line."""
        self._record.clear()
        return self.number + 1

    @property
    def several(self) -> bool:
        """Whether the record has several lines, or ends with the file."""
        return len(self._record) > 1 or not self._record[0].endswith(("\n", "\r"))

    def keep_first(self) -> None:
        """Push back all lines of the record but the first."""
        self._again.extendleft(reversed(self._record[1:]))
        self.number -= len(self._record) - 1

    def broken(self) -> str | None:
        """Return the first undecodable byte of the record; None: all are text."""
        for line in self._record:
            found = None if line.isascii() else _BROKEN.search(line)
            if found:
                return f"byte 0x{ord(found[0]) - 0xDC00:02x}"
        return None


class _Records:
    """Records of a file: fields, and the number of their first line."""

    def __init__(self, lines: _Lines, delimiter: str) -> None:
        self._lines = lines
        self._delimiter = delimiter

    def __iter__(self) -> Iterator[list[str]]:
        """Yield raw records up to the first unreadable one."""
        try:
            yield from filter(any, self._reader())
        except csv.Error:
            return

    def after_header(self, width: int, bad: BadRows) -> Iterator[tuple[int, list[str]]]:
        """Yield the records with ``width`` fields; all others go to ``bad``."""
        reader, lines = self._reader(), self._lines
        while True:
            place = lines.begin()
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                bad.add(place, *_why(error, lines.several))
                lines.keep_first()
                reader = self._reader()
                continue
            while len(fields) > width and not fields[-1]:
                fields.pop()
            byte = lines.broken()
            if byte is not None:
                bad.add(place, "not decodable text", f"{byte}; see reading.encoding")
            elif len(fields) == width:
                yield place, fields
            elif fields:
                found = f"{len(fields)} cells, and the header has {width}"
                bad.add(place, "wrong number of cells", found)
                lines.keep_first()

    def _reader(self) -> Iterator[list[str]]:
        return csv.reader(self._lines, delimiter=self._delimiter, strict=True)


def _why(error: csv.Error, several: bool) -> tuple[str, str]:
    """Return reason and detail for a row that can't be split into cells."""
    if "field limit" in str(error):
        return "cell too long", f"more than {LONGEST_CELL:,} characters in a cell"
    if several:
        return "broken quotes", 'a quote (") is opened and never closed'
    detail = f'text next to a quoted cell ({error}); write " within quotes as ""'
    return "broken quotes", detail


def _chunk(
    header: Sequence[str],
    places: Sequence[int],
    rows: Sequence[Sequence[str]],
    missing: Missing,
) -> Chunk:
    columns = zip(*rows, strict=True)
    cells = {
        name: ["" if cell in missing else cell for cell in map(str.strip, column)]
        for name, column in zip(header, columns, strict=True)
    }
    return Chunk(places, cells)


def _header(path: Path, fields: Sequence[str] | None, where: str) -> list[str]:
    if fields is None:
        raise UserError.of(f"{where}.path", f"'{path}' is empty, or its first line can't be read")
    if _BROKEN.search("".join(fields)):
        fix = f"set {where}.reading.encoding, such as latin-1"
        raise UserError.of(str(path), f"the names of the columns are not decodable text; {fix}")
    names = [name.strip() or f"column {i}" for i, name in enumerate(fields, start=1)]
    if all(_NUMBER.fullmatch(name) for name in names):
        found = ", ".join(names[:5])
        raise UserError.of(str(path), f"line 1 must name the columns; found numbers: {found}")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UserError.of(str(path), f"two columns are called '{twice[0]}'; rename one")
    return names


def _delimiter(path: Path, reading: Reading, where: str) -> str:
    """Return the given delimiter, or the one that splits the first rows into the widest table."""
    if reading.delimiter is not None:
        if len(reading.delimiter) != 1:
            expected = "expected one character"
            raise UserError.of(f"{where}.reading.delimiter", f"'{reading.delimiter}': {expected}")
        return reading.delimiter
    if path.suffix.lower() in (".tsv", ".tab"):
        return "\t"
    return max(_DELIMITERS, key=lambda delimiter: _fit(path, reading, delimiter, where))


def _fit(path: Path, reading: Reading, delimiter: str, where: str) -> float:
    """Return the number of columns times the share of the first rows with that many cells; 0 for a
    single column."""
    widths = []
    with _open(path, reading, where) as file:
        try:
            for fields in csv.reader(file, delimiter=delimiter):
                widths += [len(fields)] if fields else []
                if len(widths) == _FIRST_ROWS:
                    break
        except csv.Error:
            pass
        except UnicodeError as error:
            raise not_text(path, reading, error, where) from error
    if not widths or widths[0] == 1:
        return 0.0
    return widths[0] * widths.count(widths[0]) / len(widths)
