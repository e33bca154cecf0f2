"""CSV and TSV: cells between delimiters, quoted where they hold one."""

from __future__ import annotations

import csv
import re
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from jlrun.errors import UserError
from jlrun.tables.bad_rows import BadRows
from jlrun.tables.layout import ROWS_AT_ONCE, Chunk, Reading
from jlrun.tables.levels import Missing

LONGEST_CELL = 1 << 20
_DELIMITERS = (",", ";", "\t", "|")
_FIRST_ROWS = 50
_NUMBER = re.compile(r"[-+]?\d+([.,]\d+)?([eE][-+]?\d+)?")
# Bytes that are not text of the encoding stand as these (PEP 383).
_BROKEN = re.compile("[\udc80-\udcff]")


def read_delimited(path: Path, reading: Reading, bad: BadRows, where: str) -> Iterator[Chunk]:
    """Yield the rows of a CSV or TSV file, of RFC 4180 with any delimiter.

    A row that is not of the header's width, or whose quotes or bytes are broken, goes to ``bad``.
    Where a quote that is never closed would swallow the lines that follow, only its own line does.

    Raises:
        UserError: if the file has no rows, or no header that could name its columns.
    """
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_CELL))
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
    with path.open("rb") as file:
        start = file.read(4)
    if start[:2] in (b"\xff\xfe", b"\xfe\xff") and "16" not in encoding and "32" not in encoding:
        fix = f"set {where}.reading.encoding=utf-16"
        raise UserError.of(str(path), f"is UTF-16 text, not {reading.encoding}; {fix}")
    if start[:2] in (b"\x1f\x8b", b"PK"):
        raise UserError.of(str(path), "is a compressed file or a spreadsheet; save it as CSV")
    try:
        return path.open(encoding=encoding, errors="surrogateescape", newline="")
    except LookupError as error:
        raise UserError.of(f"{where}.reading.encoding", str(error)) from error


class _Lines:
    """The lines of a file, counted; those of a record can be given back."""

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
        """Whether the record has more lines than one, or ends with the file."""
        return len(self._record) > 1 or not self._record[0].endswith(("\n", "\r"))

    def keep_first(self) -> None:
        """Give all lines of the record back but its first."""
        self._again.extendleft(reversed(self._record[1:]))
        self.number -= len(self._record) - 1

    def broken(self) -> str | None:
        """Return the first byte of the record that is not text; None if all is."""
        for line in self._record:
            found = None if line.isascii() else _BROKEN.search(line)
            if found:
                return f"byte 0x{ord(found[0]) - 0xDC00:02x}"
        return None


class _Records:
    """The records of a file: fields, and the number of the line they begin at."""

    def __init__(self, lines: _Lines, delimiter: str) -> None:
        self._lines = lines
        self._delimiter = delimiter

    def __iter__(self) -> Iterator[list[str]]:
        """Yield records as they are, until the first that can't be read."""
        try:
            yield from filter(any, self._reader())
        except csv.Error:
            return

    def after_header(self, width: int, bad: BadRows) -> Iterator[tuple[int, list[str]]]:
        """Yield the records of ``width`` fields; all others go to ``bad``."""
        reader, lines = self._reader(), self._lines
        while True:
            place = lines.begin()
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                bad.add(place, "broken quotes", _quotes(error, lines.several))
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


def _quotes(error: csv.Error, several: bool) -> str:
    if several:
        return 'a quote (") is opened and never closed'
    return f'text stands beside a quoted cell ({error}); write " within quotes as ""'


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
    """Return the delimiter asked for, or the one by which the first rows are the widest table."""
    if reading.delimiter is not None:
        if len(reading.delimiter) != 1:
            expected = "expected one character"
            raise UserError.of(f"{where}.reading.delimiter", f"'{reading.delimiter}': {expected}")
        return reading.delimiter
    if path.suffix.lower() in (".tsv", ".tab"):
        return "\t"
    return max(_DELIMITERS, key=lambda delimiter: _fit(path, reading, delimiter, where))


def _fit(path: Path, reading: Reading, delimiter: str, where: str) -> float:
    """Return the number of columns, times the share of the first rows that have as many; 0 where
    the header is not divided."""
    widths = []
    with _open(path, reading, where) as file:
        try:
            for fields in csv.reader(file, delimiter=delimiter):
                widths += [len(fields)] if fields else []
                if len(widths) == _FIRST_ROWS:
                    break
        except csv.Error:
            pass
        except UnicodeDecodeError as error:
            reason = f"is not {reading.encoding} text ({error.reason})"
            raise UserError.of(str(path), f"{reason}; set {where}.reading.encoding") from error
    if not widths or widths[0] == 1:
        return 0.0
    return widths[0] * widths.count(widths[0]) / len(widths)
