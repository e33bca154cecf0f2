"""Times of rows, by which a table is divided: numbers, or dates as ISO 8601 writes them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

import numpy as np

from jlrun.data.tables.files.numbers import to_numbers
from jlrun.data.tables.table_rows import TableRows
from jlrun.errors import UserError


def times_of(rows: TableRows, column: str, where: str) -> np.ndarray:
    """Return the time of each row, float64 ``(N,)``: the number, or seconds since 1970.

    Dates without a time zone count as UTC.

    Args:
        rows: of a table, whose column is stored as codes.
        column: its name.
        where: config path of the choice, for errors.

    Raises:
        UserError: for the first row without a time.
    """
    codes, levels = rows.store.codes(column)[rows.rows], rows.store.levels(column)
    times = np.append(_parsed(levels), np.nan)[codes]
    unknown = np.flatnonzero(np.isnan(times))
    if len(unknown):
        line = int(rows.store.places()[rows.rows[unknown[0]]])
        code = int(codes[unknown[0]])
        cell = f"'{levels[code]}'" if code >= 0 else "missing"
        message = f"no time in {len(unknown)} of {len(times)} rows; line {line}: {cell} is "
        fix = "neither a number nor a date such as 2024-05-31 or 2024-05-31 14:30"
        raise UserError.of(where, f"'{column}': {message}{fix}")
    return times


def _parsed(cells: Sequence[str]) -> np.ndarray:
    """Return cells as numbers if all are, otherwise as dates; NaN where neither."""
    numbers, wrong = to_numbers(cells)
    return np.array([_seconds(cell) for cell in cells]) if wrong else numbers


def _seconds(cell: str) -> float:
    with suppress(ValueError, OverflowError):
        found = datetime.fromisoformat(cell.strip())
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    return float("nan")
