"""Words that were taken for missing cells: how many of which, and where they may be a class."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from jlrun.data.tables.files.statistics import ColumnStatistics
from jlrun.data.written_names import column_setting

# A word that is at least this share as frequent as a level is on average may be one, too.
_SHARE = 0.2


def missing_notes(
    columns: Mapping[str, ColumnStatistics], classes: Collection[str], where: str
) -> dict[str, str]:
    """Return column -> a note, for each column with words that were taken for missing.

    Args:
        columns: of the file.
        classes: columns that are read as categories or classes.
        where: config path of the data set.
    """
    return {
        name: f"{counted(column.missing)} taken for missing"
        + (class_hint(name, column, where) if name in classes else "")
        for name, column in columns.items()
        if column.missing
    }


def counted(words: Mapping[str, int]) -> str:
    """Return how many cells there are of each word, the most frequent first."""
    listed = sorted(words.items(), key=lambda item: -item[1])
    return ", ".join(
        f"{count:,} {'cells' if i == 0 else 'of'} '{w}'" for i, (w, count) in enumerate(listed)
    )


def class_hint(name: str, column: ColumnStatistics, where: str) -> str:
    """Return how a word is kept that may be a class of its own; '' if none may."""
    usual = column.filled / max(len(column.distinct), 1)
    word, count = max(column.missing.items(), key=lambda item: item[1], default=("", 0))
    if count < 2 or count < _SHARE * usual:
        return ""
    return f"; '{word}' may be a class: {column_setting(where, name, 'missing: []')} keeps it"
