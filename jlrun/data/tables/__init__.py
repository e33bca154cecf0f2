"""Tables of users as data sets: CSV, TSV, JSON Lines or Parquet files."""

from jlrun.data.tables.loading import load_table

__all__ = ["load_table"]
