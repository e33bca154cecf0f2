"""Files of predictions: CSV, JSON, JSON Lines and Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jlrun.files.atomic import replace

FORMATS = (".csv", ".json", ".jsonl", ".parquet")

Columns = Mapping[str, Sequence[Any]]


def write_columns(path: Path, columns: Columns) -> None:
    """Write columns of equal length in the format of the ending, one of `FORMATS`, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    match path.suffix.lower():
        case ".csv":
            content = csv_text(list(columns), _lines(columns)).encode()
        case ".json":
            content = (json.dumps(_rows(columns), indent=2, ensure_ascii=False) + "\n").encode()
        case ".jsonl":
            lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in _rows(columns))
            content = "".join(lines).encode()
        case _:
            content = _parquet(columns)
    replace(path, content)


def csv_text(header: Sequence[str], lines: Iterator[Sequence[Any]]) -> str:
    """Return a CSV table; None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(lines)
    return text.getvalue()


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
