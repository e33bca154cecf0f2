"""Targets of a table that needs no labels, since their tasks are learned from other data."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from jlrun.data.tables.files.column_names import find_column, slug
from jlrun.data.tables.files.statistics import FileStatistics
from jlrun.data.tables.files.target_kinds import Target, TargetKind, infer_target
from jlrun.errors import UserError


def wanted_elsewhere(
    known: Mapping[str, TargetKind], names: Sequence[str], usual: Collection[str]
) -> list[str]:
    """Return the columns to be predicted where nobody named them.

    Those called as tasks that are known; else a single one with a usual name of targets; else the
    names of all tasks, of which the table has no column.
    """
    present = [task for task in known if not absent(task, names)]
    guess = [name for name in names if slug(name) in usual]
    return present or (guess if len(guess) == 1 else list(known))


def absent(column: str, names: Sequence[str]) -> bool:
    """Whether no column of the table can be meant."""
    try:
        find_column(column, names, "")
    except UserError:
        return not any(slug(name) == slug(column) for name in names)
    return False


def kind_elsewhere(
    task: str, asked: Collection[str], known: Mapping[str, TargetKind]
) -> TargetKind | None:
    """Return the kind of the known task of that name, or of the only one; None: neither."""
    if task in known:
        return known[task]
    return next(iter(known.values())) if len(known) == len(asked) == 1 else None


def learned_elsewhere(
    column: str, kind: TargetKind | None, table: FileStatistics
) -> tuple[Target, str]:
    """Return a target that needs no labels, and why it was taken for one of its kind."""
    found = table.columns.get(column)
    if found is None:
        return Target(column, kind or "multiclass", optional=True), "no such column: no labels"
    if kind == "binary" and len(found.distinct) > 2:
        kind = "multiclass"  # of which the source does not know all classes
    if kind is not None:
        labels = f"{found.filled:,} of {found.rows:,} rows" if found.filled else "no row"
        return Target(column, kind, optional=True), f"as learned elsewhere; {labels} with a label"
    inferred = infer_target(found)
    if isinstance(inferred, str):
        return Target(column, "multiclass", optional=True), "as it is said of no other task"
    return Target(column, inferred[0], optional=True), inferred[1]
