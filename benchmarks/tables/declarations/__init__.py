"""Declarations of tables, by module: each has a `TABLE`."""
