"""Files of predictions: CSV, JSON, JSON Lines and Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from jlrun.files.atomic import write_chunks

FORMATS = (".csv", ".json", ".jsonl", ".parquet")
_LINES_AT_ONCE = 10_000

Columns = Mapping[str, Sequence[Any]]


def write_columns(path: Path, columns: Columns) -> None:
    """Write columns of equal length in the format of the ending, one of `FORMATS`, atomically."""
    match path.suffix.lower():
        case ".csv":
            write_csv(path, list(columns), _lines(columns))
        case ".json":
            text = json.dumps(_rows(columns), indent=2, ensure_ascii=False)
            write_chunks(path, [f"{text}\n".encode()])
        case ".jsonl":
            lines = (json.dumps(row, ensure_ascii=False) for row in _rows(columns))
            write_chunks(path, (f"{line}\n".encode() for line in lines))
        case _:
            write_chunks(path, [_parquet(columns)])


def write_csv(path: Path, header: Sequence[str], lines: Iterable[Sequence[Any]]) -> None:
    """Write a CSV table atomically, some lines at a time; None is an empty cell."""
    write_chunks(path, _csv_chunks(header, iter(lines)))


def _csv_chunks(header: Sequence[str], lines: Iterator[Sequence[Any]]) -> Iterator[bytes]:
    some: list[Sequence[Any]] = [header]
    while some:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(some)
        yield text.getvalue().encode()
        some = list(islice(lines, _LINES_AT_ONCE))


def _lines(columns: Columns) -> Iterator[tuple[Any, ...]]:
    return zip(*columns.values(), strict=True)


def _rows(columns: Columns) -> list[dict[str, Any]]:
    return [dict(zip(columns, line, strict=True)) for line in _lines(columns)]


def _parquet(columns: Columns) -> bytes:
    import pyarrow as pa
    from pyarrow.parquet import write_table

    buffer = io.BytesIO()
    write_table(pa.table({name: list(cells) for name, cells in columns.items()}), buffer)
    return buffer.getvalue()
