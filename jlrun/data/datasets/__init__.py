"""Data sets that a config can name."""
