"""Reader of table files of any format, in chunks of rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from jlrun.data.tables.files.bad_rows import BadRows
from jlrun.data.tables.files.delimited import read_delimited
from jlrun.data.tables.files.json_lines import read_json_lines
from jlrun.data.tables.files.layout import Chunk, Reading, format_of
from jlrun.data.tables.files.parquet import read_parquet


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
            yield from read_delimited(path, reading, bad, where)
        case "json lines":
            yield from read_json_lines(path, reading, bad, where)
        case _:
            yield from read_parquet(path, reading, where)
