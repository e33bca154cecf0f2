"""Parquet files, read through pyarrow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jlrun.data.tables.files.layout import ROWS_AT_ONCE, Chunk, Reading, as_cell
from jlrun.data.tables.files.levels import Missing
from jlrun.errors import UserError
from jlrun.files.limits import check_room


def read_parquet(path: Path, reading: Reading, where: str) -> Iterator[Chunk]:
    """Yield the rows of a Parquet file; their places are row numbers from 1.

    Raises:
        UserError: if pyarrow is missing, the file is not Parquet, or a column has nested values.
    """
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        fix = 'install it with: pip install "jlrun[parquet]"'
        raise UserError.of(f"{where}.path", f"Parquet files need pyarrow; {fix}") from error
    missing, place = Missing(reading.missing), 1
    try:
        with ParquetFile(path) as file:
            groups = [file.metadata.row_group(i) for i in range(file.num_row_groups)]
            largest = max((group.total_byte_size for group in groups), default=0)
            check_room(path, largest, "a row group")
            for batch in file.iter_batches(batch_size=ROWS_AT_ONCE):
                cells = {
                    name: [as_cell(value, missing, reading) for value in _values(column)]
                    for name, column in zip(batch.schema.names, batch.columns, strict=True)
                    if not name.startswith("__index_level_")  # pandas's row labels
                }
                if batch.num_rows:
                    yield Chunk(range(place, place + batch.num_rows), cells)
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
