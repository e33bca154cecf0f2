"""Typed values as the text that would stand in a cell."""

from __future__ import annotations

from typing import Any

from jlrun.data.tables.files.layout import Reading
from jlrun.data.tables.files.levels import Missing


def as_cell(value: Any, missing: Missing, reading: Reading) -> str:
    """Return a value as text: lists as ``a|b``, true and false as such, None and NaN as nothing.

    Fractions get the decimal mark by which texts of the table are read.

    Raises:
        ValueError: for a value with parts of its own.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        text = "" if value != value else repr(value)
        return "" if text in missing else text.replace(".", reading.decimal)
    if isinstance(value, list | tuple):
        return "|".join(as_cell(item, missing, reading) for item in value)
    if isinstance(value, dict):
        raise ValueError(f"an object in a cell: {str(value)[:40]}")
    if isinstance(value, bytes):
        raise ValueError("bytes in a cell; store files, and name them")
    text = str(value).strip()
    return "" if text in missing else text
