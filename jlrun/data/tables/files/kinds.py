"""Kinds of input columns and of targets, inferred from their cells, with the reason."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, ConfigDict

from jlrun.data.tables.files.inputs import MEDIA, ColumnKind
from jlrun.data.tables.files.labels import SEPARATORS
from jlrun.data.tables.files.layout import Reading
from jlrun.data.tables.files.levels import SPLIT_NAMES
from jlrun.data.tables.files.numbers import to_numbers
from jlrun.data.tables.files.statistics import ColumnStatistics
from jlrun.data.written_names import as_written, setting

COLUMN_KINDS: tuple[ColumnKind, ...] = get_args(ColumnKind)

# Above these shares of the cells, the other cells count as mistakes.
_FILES = 0.8
_NUMBERS = 0.8
_HASHES = 0.9
_NEARLY_ALL = 0.95
_DIGITS_OF_AN_ID = 7
# Cells with more words than this are texts; with fewer, repeated ones, names.
_WORDS_OF_A_TEXT = 3.0
_FEW_ROWS = 50
_LARGEST_SHARE_OF_LEVELS = 0.5
_ID_NAME = re.compile(
    r"(.*[ _.-])?(id|ids|uuid|guid|index|idx|key|code|zip|zipcode|postcode|postal|plz|phone"
    r"|telephone|isbn|ean|gtin|sku|ssn|hash|column \d+)",
    re.I,
)
_CAMEL_ID = re.compile(r".*[a-z](Id|ID|Key|Code)")


@dataclass(frozen=True)
class Inferred:
    """Kind of a column, and the reason."""

    kind: ColumnKind
    why: str


def infer_kind(
    name: str,
    column: ColumnStatistics,
    max_levels: int,
    where: str = "dataset",
    reading: Reading | None = None,
) -> Inferred:
    """Return the kind of a column that is not a target.

    Args:
        name: of the column.
        column: its cells.
        max_levels: largest number of different cells of a category.
        where: config path of the data set, for hints.
        reading: how the file is written; None: by the defaults.
    """
    reading = reading or Reading()
    if not column.filled:
        return Inferred("ignore", "every cell is missing")
    if len(column.distinct) == 1 and column.filled == column.rows:
        return Inferred("ignore", f"every row has '{_short(next(iter(column.distinct)))}'")
    for kind in MEDIA:
        if column.files[kind] >= _FILES * column.sampled:
            return Inferred(kind, f"names of files, such as {_short(column.examples[0])}")
    if is_split(column):
        use = setting(f"{where}.split_column", as_written(name))
        names = ", ".join(sorted(column.distinct))
        return Inferred("ignore", f"{names}: names of splits; {use} divides the rows by them")
    if column.notation.has_dates:
        return _of_dates(name, column, where, reading)
    if column.numbers >= _NUMBERS * column.filled:
        has_unit = reading.marks(name).unit is not None
        return _numbers(column) if has_unit else _of_numbers(name, column, max_levels)
    if question := _question(name, column, where, reading):
        return Inferred("ignore", question)
    return _of_words(name, column, max_levels)


def is_split(column: ColumnStatistics) -> bool:
    """Whether the cells name training rows and others."""
    splits = {SPLIT_NAMES.get(cell.strip().lower()) for cell in column.distinct}
    return "train" in splits and len(splits) > 1 and None not in splits


def _question(name: str, column: ColumnStatistics, where: str, reading: Reading) -> str:
    return column.notation.question(where, name, reading) or column.grouping.question(where)


def _of_dates(name: str, column: ColumnStatistics, where: str, reading: Reading) -> Inferred:
    if question := column.notation.question_of_dates(where, name, reading):
        return Inferred("ignore", question)
    order = reading.dates(name) or column.notation.order()
    written = f" with the {order.removesuffix('-first')} first" if order else ""
    return Inferred("date", f"dates{written}, such as {column.examples[0]}")


def _of_numbers(name: str, column: ColumnStatistics, max_levels: int) -> Inferred:
    whole, named = column.whole == column.numbers, is_id_name(name) or column.codes > 0
    if whole and column.all_different and (column.ascending or named):
        order = ", in order" if column.ascending else ""
        return Inferred("ignore", f"a different whole number in each row{order}: an identifier")
    if whole and nearly_unique(column) and (named or _of_one_length(column)):
        return Inferred("ignore", "another whole number in nearly every row: an identifier")
    if whole and named:
        if len(column.distinct) <= max_levels:
            zeros = ", some with leading zeros" if column.codes else ""
            return Inferred("category", f"{_levels(column)} numbers that stand for names{zeros}")
        return Inferred("ignore", f"more than {max_levels} different identifiers")
    return _numbers(column)


def _numbers(column: ColumnStatistics) -> Inferred:
    found = "numbers"
    if column.numbers < column.filled:
        found = f"{column.numbers:,} of {column.filled:,} cells are numbers"
    return Inferred("number", found)


def nearly_unique(column: ColumnStatistics) -> bool:
    """Whether nearly all of many cells differ."""
    many = column.rows >= _FEW_ROWS
    return many and len(column.distinct) >= _NEARLY_ALL * column.counted


def _of_one_length(column: ColumnStatistics) -> bool:
    """Whether all numbers have the same large number of digits, and are no seconds since 1970."""
    length = column.longest
    if not column.shortest == length >= _DIGITS_OF_AN_ID:
        return False
    seconds = length in (10, 13) and all(cell[0] == "1" for cell in column.sample)
    return not seconds and all(map(str.isdigit, column.sample))


def _of_words(name: str, column: ColumnStatistics, max_levels: int) -> Inferred:
    words, share = column.words_per_cell, len(column.distinct) / column.counted
    if column.hashes >= _HASHES * column.sampled and share > _LARGEST_SHARE_OF_LEVELS:
        return Inferred("ignore", f"hashes, such as {_short(column.examples[0])}: an identifier")
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


def _separator(text: str) -> str:
    names = {"pipe": "|", **{name: mark for mark, name in SEPARATORS.items()}}
    found = names.get(text.lower(), text)
    if not found or found.isalnum():
        raise ValueError(f"is no mark between labels: write {', '.join(names)} or another mark")
    return found


@dataclass(frozen=True)
class Target:
    """A task of a table.

    Attributes:
        column: the column to predict.
        kind: of the task.
        optional: whether a file may lack the column, or all labels in it, since the task and its
            classes are learned on other data.
        separator: mark between the labels of a cell of ``multilabel``; None: found in the cells, or
            ``|``.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    column: str
    kind: TargetKind
    optional: bool = False
    separator: Annotated[str, AfterValidator(_separator)] | None = None

    def to_plain(self) -> dict[str, Any]:
        """Return the target as an entry of a config."""
        plain = {"column": self.column, "kind": self.kind}
        plain |= {"separator": self.separator} if self.separator else {}
        return plain | ({"optional": True} if self.optional else {})


def infer_target(
    column: ColumnStatistics,
    where: str = "dataset",
    name: str = "",
    reading: Reading | None = None,
) -> tuple[TargetKind, str] | str:
    """Return a target's kind and the reason; or, as a string, why it can't be a target."""
    count, reading = len(column.distinct), reading or Reading()
    if not column.filled:
        return "every cell is missing; choose another column"
    if count == 1:
        return f"every row has '{column.examples[0]}': nothing to learn; choose another column"
    if column.listed > _LISTED * column.sampled:
        return "multilabel", "labels divided by |"
    if column.numbers >= _NUMBERED_TARGETS * column.filled:
        if count == 2 and column.numbers == column.filled:
            return "binary", f"two values, {_named(column)}"
        whole = column.whole == column.numbers and reading.marks(name).unit is None
        if whole and count <= _MOST_NUMBERED_CLASSES:
            return "multiclass", f"{count} different whole numbers"
        return "regression", "numbers"
    if question := _question(name, column, where, reading):
        return question
    if count == 2:
        return "binary", f"two values, {_named(column)}"
    if count > _MOST_CLASSES or (column.all_different and column.rows > _MOST_NUMBERED_CLASSES):
        return f"{count:,} different texts are too many for classes; choose another column"
    return "multiclass", f"{count} different values"


def unfit_target(
    kind: TargetKind,
    column: ColumnStatistics,
    where: str = "dataset",
    name: str = "",
    reading: Reading | None = None,
) -> str:
    """Return why a column can't be a target of the given kind; '' if it can."""
    count = len(column.distinct)
    if kind == "regression" and column.numbers < _NUMBERED_TARGETS * column.filled:
        question = _question(name, column, where, reading or Reading())
        if question:
            return question
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
