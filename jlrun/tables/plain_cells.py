"""Typed values as the text that would stand in a cell."""

from __future__ import annotations

from typing import Any


def as_cell(value: Any, missing: frozenset[str]) -> str:
    """Return a value as text: lists as ``a|b``, true and false as such, None as nothing.

    Raises:
        ValueError: for a value with parts of its own.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "|".join(as_cell(item, missing) for item in value)
    if isinstance(value, dict):
        raise ValueError(f"an object in a cell: {str(value)[:40]}")
    if isinstance(value, bytes):
        raise ValueError("bytes in a cell; store files, and name them")
    text = str(value).strip()
    return "" if text in missing else text
