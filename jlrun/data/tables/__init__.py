"""A table of one's own as a data set: a CSV, TSV, JSON Lines or Parquet file."""

from jlrun.data.tables.loading import load_table

__all__ = ["load_table"]
