"""Kinds of input columns and of targets, inferred from their cells, with the reason."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, get_args

from jlrun.data.tables.files.inputs import MEDIA, ColumnKind
from jlrun.data.tables.files.numbers import to_numbers
from jlrun.data.tables.files.statistics import ColumnStatistics

COLUMN_KINDS: tuple[ColumnKind, ...] = get_args(ColumnKind)

# Above these shares of the cells, the other cells count as mistakes.
_FILES = 0.8
_NUMBERS = 0.8
_DATES = 0.9
# Cells with more words than this are texts; with fewer, repeated ones, names.
_WORDS_OF_A_TEXT = 3.0
_FEW_ROWS = 50
_LARGEST_SHARE_OF_LEVELS = 0.5
_ID_NAME = re.compile(r"(.*[ _.-])?(id|ids|uuid|guid|index|idx|key|code|zip|column \d+)", re.I)
_CAMEL_ID = re.compile(r".*[a-z](Id|ID|Key|Code)")


@dataclass(frozen=True)
class Inferred:
    """Kind of a column, and the reason."""

    kind: ColumnKind
    why: str


def infer_kind(
    name: str, column: ColumnStatistics, max_levels: int, where: str = "dataset"
) -> Inferred:
    """Return the kind of a column that is not a target.

    Args:
        name: of the column.
        column: its cells.
        max_levels: largest number of different cells of a category.
        where: config path of the data set, for hints.
    """
    if not column.filled:
        return Inferred("ignore", "every cell is missing")
    if len(column.distinct) == 1 and column.filled == column.rows:
        return Inferred("ignore", f"every row has '{_short(next(iter(column.distinct)))}'")
    for kind in MEDIA:
        if column.files[kind] >= _FILES * column.sampled:
            return Inferred(kind, f"names of files, such as {_short(column.examples[0])}")
    if column.numbers >= _NUMBERS * column.filled:
        return _of_numbers(name, column, max_levels)
    if question := column.grouping.question(where):
        return Inferred("ignore", question)
    if column.dates >= _DATES * column.sampled:
        return Inferred("ignore", f"dates, such as {column.examples[0]}: convert them to numbers")
    return _of_words(name, column, max_levels)


def _of_numbers(name: str, column: ColumnStatistics, max_levels: int) -> Inferred:
    whole, named = column.whole == column.numbers, is_id_name(name)
    if whole and column.all_different and (column.ascending or named):
        order = ", in order" if column.ascending else ""
        return Inferred("ignore", f"a different whole number in each row{order}: an identifier")
    if whole and named:
        if len(column.distinct) <= max_levels:
            return Inferred("category", f"{_levels(column)} numbers that stand for names")
        return Inferred("ignore", f"more than {max_levels} different identifiers")
    found = "numbers"
    if column.numbers < column.filled:
        found = f"{column.numbers:,} of {column.filled:,} cells are numbers"
    return Inferred("number", found)


def _of_words(name: str, column: ColumnStatistics, max_levels: int) -> Inferred:
    words, share = column.words_per_cell, len(column.distinct) / column.counted
    if words >= _WORDS_OF_A_TEXT:
        return Inferred("text", f"{words:.0f} words in a cell")
    repeats = share <= _LARGEST_SHARE_OF_LEVELS or column.rows < _FEW_ROWS
    if column.all_different and (is_id_name(name) or (words < 1.1 and column.rows >= _FEW_ROWS)):
        return Inferred("ignore", "a different word in each row: an identifier")
    if repeats and len(column.distinct) <= max_levels:
        return Inferred("category", f"{_levels(column)} different words")
    if words > 1.5:
        return Inferred("text", f"{words:.1f} words in a cell, most of them different")
    return Inferred("ignore", f"{_levels(column)} different words in {column.filled:,} rows")


def is_id_name(name: str) -> bool:
    """Whether a column has a name typical of identifiers."""
    return bool(_ID_NAME.fullmatch(name) or _CAMEL_ID.fullmatch(name))


def _levels(column: ColumnStatistics) -> str:
    return f"{'over ' if column.many else ''}{len(column.distinct):,}"


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"


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

_NUMBERED_TARGETS = 0.8
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
    if column.numbers >= _NUMBERED_TARGETS * column.filled:
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
    if kind == "ordinal" and column.numbers < column.filled:
        return _without_order(column)
    if kind == "ordinal" and count == 1:
        return f"every row has '{column.examples[0]}': nothing to learn; choose another column"
    if kind in ("multiclass", "ordinal") and column.many:
        return f"over {count:,} different values are too many for classes; use regression"
    return ""


def _without_order(column: ColumnStatistics) -> str:
    cells = sorted(column.distinct)
    words = ", ".join(f"'{_short(cells[i])}'" for i in to_numbers(cells)[1][:3])
    return f"ordinal needs numbers: {words} have no order; write numbers, or use multiclass"


def _named(column: ColumnStatistics) -> str:
    return " and ".join(sorted(column.distinct))
