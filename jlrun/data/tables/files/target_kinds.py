"""Kinds of targets, inferred from their cells, with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from jlrun.data.tables.files.statistics import ColumnStatistics

TargetKind = Literal["multiclass", "binary", "regression", "multilabel", "ordinal"]
TARGET_KINDS: tuple[TargetKind, ...] = get_args(TargetKind)
TASK_OF_KIND = {
    "multiclass": {
        "_target_": "jlrun.tasks.Multiclass",
        "label_smoothing": 0.0,
        "metric": None,
        "loss": None,
    },
    "binary": {"_target_": "jlrun.tasks.Binary", "metric": None, "loss": None},
    "regression": {"_target_": "jlrun.tasks.Regression", "metric": None, "loss": None},
    "ordinal": {"_target_": "jlrun.tasks.Ordinal", "metric": None},
    "multilabel": {"_target_": "jlrun.tasks.Multilabel", "metric": None},
}

_NUMBERS = 0.8
# Up to this many different whole numbers are classes; more are a regression target.
_MOST_NUMBERED_CLASSES = 20
_MOST_CLASSES = 2_000
_LISTED = 0.01


@dataclass(frozen=True)
class Target:
    """A task of a table.

    Attributes:
        column: the column to predict.
        kind: of the task.
        optional: whether a file may lack the column, or all labels in it, since the task and its
            classes are learned on other data.
    """

    column: str
    kind: TargetKind
    optional: bool = False

    def to_plain(self) -> dict[str, Any]:
        """Return the target as an entry of a config."""
        plain = {"column": self.column, "kind": self.kind}
        return plain | ({"optional": True} if self.optional else {})


def infer_target(column: ColumnStatistics, where: str = "dataset") -> tuple[TargetKind, str] | str:
    """Return a target's kind and the reason; or, as a string, why it can't be a target."""
    count = len(column.distinct)
    if not column.filled:
        return "every cell is missing; choose another column"
    if count == 1:
        return f"every row has '{column.examples[0]}': nothing to learn; choose another column"
    if column.listed > _LISTED * column.sampled:
        return "multilabel", "labels divided by |"
    if column.numbers >= _NUMBERS * column.filled:
        if count == 2 and column.numbers == column.filled:
            return "binary", f"two values, {_named(column)}"
        if column.whole == column.numbers and count <= _MOST_NUMBERED_CLASSES:
            return "multiclass", f"{count} different whole numbers"
        return "regression", "numbers"
    if question := column.grouping.question(where):
        return question
    if count == 2:
        return "binary", f"two values, {_named(column)}"
    if count > _MOST_CLASSES or (column.all_different and column.rows > _MOST_NUMBERED_CLASSES):
        return f"{count:,} different texts are too many for classes; choose another column"
    return "multiclass", f"{count} different values"


def unfit_target(kind: TargetKind, column: ColumnStatistics) -> str:
    """Return why a column can't be a target of the given kind; '' if it can."""
    count = len(column.distinct)
    if kind == "regression" and count == 1:
        return f"every row has '{column.examples[0]}': nothing to learn; choose another column"
    if kind == "regression" and not column.numbers:
        return f"regression needs numbers, found '{column.examples[0]}'; use multiclass"
    if kind == "binary" and count != 2:
        return f"binary needs two values, and the column has {count}; use multiclass"
    if kind in ("multiclass", "ordinal") and column.many:
        return f"over {count:,} different values are too many for classes; use regression"
    return ""


def _named(column: ColumnStatistics) -> str:
    return " and ".join(sorted(column.distinct))
