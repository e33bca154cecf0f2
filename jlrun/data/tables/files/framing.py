"""Framing of delimited text: which lines are a record, and lines whose quotes or bytes are broken.

pyarrow splits records into cells. But it takes a quote that is never closed for a cell that extends
to the end of the file, drops quotes with text next to them without a word, and counts records, not
lines. So lines with a quote or an undecodable byte are checked here before pyarrow reads them.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

import numpy as np

from jlrun.data.tables.files.bad_rows import BadRow
from jlrun.wording import counted

_AT_ONCE = 1 << 20
# A record of several lines that is longer is taken for one with an open quote.
_LONGEST_RECORD = 1 << 22
_LF, _CR, _QUOTE = b'\n\r"'
# Undecodable bytes become these characters (PEP 383, surrogateescape).
_BROKEN = re.compile("[\udc80-\udcff]")


def encoded(text: str) -> bytes:
    """Return text in UTF-8; undecodable bytes of its file stay apart, as invalid UTF-8."""
    return text.encode("utf-8", "surrogatepass")


def broken_byte(content: bytes) -> str | None:
    """Return the first undecodable byte of the file in encoded text; None: all are text."""
    found = None if content.isascii() else _BROKEN.search(content.decode("utf-8", "surrogatepass"))
    return f"byte 0x{ord(found[0]) - 0xDC00:02x}" if found else None


def read_start(file: TextIO) -> bytes:
    """Return the start of a file, encoded: at least one whole line."""
    content = b""
    while text := file.read(max(_AT_ONCE, len(content))):
        content += encoded(text)
        if _end_of_lines(content):
            break
    return content


def _end_of_lines(content: bytes) -> int:
    """Return the end of the last whole line; a carriage return may be one half of a line end."""
    return max(content.rfind(b"\n"), content.rfind(b"\r", 0, -1)) + 1


@dataclass(frozen=True)
class Records:
    """Records of some lines of a file.

    Attributes:
        content: the lines without the bad ones, in UTF-8.
        places: int64 ``(N,)``, the first line of each record, from 1.
        spans: int64 ``(N, 2)``, start and end of each record in ``lines``.
        lines: the lines with the bad ones.
        bad: lines that are no record.
    """

    content: bytes
    places: np.ndarray
    spans: np.ndarray
    lines: bytes
    bad: list[BadRow]

    def __getitem__(self, record: int) -> bytes:
        start, end = self.spans[record]
        return self.lines[start:end]


class Framing:
    """Framing of the records of a file (RFC 4180).

    Args:
        delimiter: an ASCII character.
        width: number of cells in a record; more are no harm if they are empty.
    """

    def __init__(self, delimiter: str, width: int = 1) -> None:
        d = re.escape(delimiter.encode())
        cell = rb'(?:"(?:[^"]++|"")*+"|[^"%b\r\n][^%b\r\n]*+)?+' % (d, d)
        end = rb"(?:\r\n?|\n|\Z)"
        further = rb'(?:%b(?:"")?)*' % d
        self._delimiter, self._width = delimiter.encode(), width
        self._cell = re.compile(cell + d)
        self._any = re.compile(rb"(?:%b%b)*+%b%b" % (cell, d, cell, end))
        fields = rb"(?:%b%b){%d}%b" % (cell, d, width - 1, cell)
        self._exact = re.compile(rb"%b%b%b" % (fields, further, end))
        self._open = re.compile(rb'(?:%b%b)*+"(?:[^"]++|"")*+\Z' % (cell, d))
        self._fields = re.compile(fields)

    def first(self, content: bytes, start: int = 0) -> bytes | None:
        """Return the record that begins at ``start``, of any width; None: its quotes are broken."""
        found = self._any.match(content, start)
        return found[0] if found else None

    def num_cells(self, record: bytes) -> int:
        """Return the number of cells of a record."""
        count, end = 1, 0
        while found := self._cell.match(record, end):
            count, end = count + 1, found.end()
        return count

    def fitted(self, record: bytes) -> bytes | None:
        """Return a record without the empty cells that it has too many; None: it has others."""
        found = self._exact.fullmatch(record) and self._fields.match(record)
        return (found[0] or b'""') if found else None  # an empty line would be no record

    def read(self, file: TextIO, content: bytes, line: int) -> Iterator[Records]:
        """Yield the records of a file, some lines at once.

        Args:
            file: at its place after ``content``.
            content: what was read of it, encoded.
            line: number of the first line of ``content``.
        """
        last = False
        while not last:
            text = file.read(max(_AT_ONCE, len(content)))
            content, last = content + encoded(text), not text
            lines = _Lines(content[: len(content) if last else _end_of_lines(content)], line)
            self._frame(lines, last)
            yield lines.records()
            content, line = content[lines.end :], lines.next_number

    def _frame(self, lines: _Lines, last: bool) -> None:
        content, free = lines.content, 0
        for i in lines.quoted():
            if i < free:
                continue  # in a record of several lines
            start = lines.starts[i]
            found = self._exact.match(content, start)
            if found and lines.is_short(i, found.end()):
                free = lines.join(i, found.end())
                continue
            unfinished = not last and len(content) - start <= _LONGEST_RECORD
            if unfinished and self._open.match(content, start):
                lines.stop_at(i)
                break
            free = self._refuse(lines, i)
        lines.refuse_broken_bytes()

    def _refuse(self, lines: _Lines, i: int) -> int:
        """Refuse a line with a quote, and return the next line that may begin a record.

        That is the line after it: of quotes that don't match, the first is likely the wrong one.
        """
        start = lines.starts[i]
        found = self._any.match(lines.content, start)
        if found is None or not lines.is_short(i, found.end()):
            lines.refuse(i, "broken quotes", self._why(lines, i))
        elif byte := broken_byte(found[0]):
            free = lines.join(i, found.end())
            lines.refuse(i, "not decodable text", f"{byte}; see reading.encoding")
            return free
        else:
            lines.refuse(i, "wrong number of cells", self.wrong_width(found[0]))
        return i + 1

    def wrong_width(self, record: bytes) -> str:
        """Return how many cells a record has, and how many it should have."""
        count, body = self.num_cells(record), record.rstrip(b"\r\n")
        while count > self._width and (shorter := self._without_last(body)) is not None:
            count, body = count - 1, shorter
        return f"{counted(count, 'cell')}, and the header has {self._width}"

    def _without_last(self, body: bytes) -> bytes | None:
        """Return a record without its last cell, if that is empty."""
        for ending in (self._delimiter, self._delimiter + b'""'):
            if body.endswith(ending):
                return body[: -len(ending)]
        return None

    def _why(self, lines: _Lines, i: int) -> str:
        if self._open.match(lines.content, lines.starts[i], lines.ends[i]):
            return 'a quote (") is opened and never closed'
        return 'text next to a quoted cell; write " within quotes as ""'


class _Lines:
    """Lines of a file, of which records are made.

    Args:
        content: the lines, in UTF-8.
        number: of the first line, from 1.
    """

    def __init__(self, content: bytes, number: int) -> None:
        codes = np.frombuffer(content, np.uint8)
        is_end = codes == _LF
        if b"\r" in content:
            is_end |= (codes == _CR) & (np.append(codes[1:], 0) != _LF)
        ends = np.flatnonzero(is_end) + 1
        if codes.size and not is_end[-1]:
            ends = np.append(ends, codes.size)
        starts = np.append(0, ends)[:-1]
        self.content, self.end = content, len(content)
        self._number, self.next_number = number, number + len(ends)
        self._begins = (codes[starts] != _LF) & (codes[starts] != _CR)
        self._stops = ends.copy()
        self.starts: list[int] = starts.tolist()
        self.ends: list[int] = ends.tolist()
        self._bad: list[BadRow] = []
        self._dropped: list[tuple[int, int]] = []

    def quoted(self) -> list[int]:
        """Return the positions of the lines with a quote."""
        if b'"' not in self.content:
            return []
        quotes = np.flatnonzero(np.frombuffer(self.content, np.uint8) == _QUOTE)
        return np.unique(np.searchsorted(self._stops, quotes, side="right")).tolist()

    def is_short(self, i: int, stop: int) -> bool:
        """Whether a record from line ``i`` to ``stop`` is one line, or not too long."""
        return stop == self.ends[i] or stop - self.starts[i] <= _LONGEST_RECORD

    def join(self, i: int, stop: int) -> int:
        """Join the lines from ``i`` to ``stop`` to a record; return the position of the next."""
        if stop == self.ends[i]:
            return i + 1
        following = bisect_left(self.ends, stop) + 1
        self._begins[i + 1 : following] = False
        self._stops[i] = stop
        return following

    def stop_at(self, i: int) -> None:
        """Leave the lines from ``i`` to the next piece."""
        self._begins[i:] = False
        self.end, self.next_number = self.starts[i], self._number + i

    def refuse(self, i: int, reason: str, detail: str) -> None:
        """Refuse the record that begins with a line."""
        self._begins[i] = False
        self._bad.append(BadRow(self._number + i, reason, detail))
        self._dropped.append((self.starts[i], int(self._stops[i])))

    def refuse_broken_bytes(self) -> None:
        """Refuse all records with undecodable bytes."""
        if broken_byte(self.content) is None:
            return
        for i in np.flatnonzero(self._begins).tolist():
            byte = broken_byte(self.content[self.starts[i] : self._stops[i]])
            if byte:
                self.refuse(i, "not decodable text", f"{byte}; see reading.encoding")

    def records(self) -> Records:
        """Return the records."""
        kept, end = [], 0
        for start, stop in sorted(self._dropped):
            kept.append(self.content[end:start])
            end = stop
        kept.append(self.content[end : self.end])
        begins = np.flatnonzero(self._begins)
        spans = np.stack([np.array(self.starts, np.int64)[begins], self._stops[begins]], axis=1)
        return Records(b"".join(kept), self._number + begins, spans, self.content, self._bad)
