"""Tables of users as data sets: CSV, TSV, JSON Lines or Parquet files.

`load_table` is imported where it is first asked for: what a table holds is checked without PyTorch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jlrun.data.tables.loading import load_table

__all__ = ["load_table"]


def __getattr__(name: str) -> Any:
    if name != "load_table":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from jlrun.data.tables.loading import load_table

    return load_table
