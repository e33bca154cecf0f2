"""Modalities of a table: the columns that each is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jlrun.data.tables.files.column_names import distinct_slugs
from jlrun.data.tables.files.kinds import ColumnKind

_ALONE = ("image", "audio", "series")


@dataclass(frozen=True)
class ColumnsOf:
    """The columns of a modality.

    Attributes:
        kind: of the modality.
        columns: its columns; for ``tabular``, those of numbers.
        categories: for ``tabular``, the columns of categories.
    """

    kind: str
    columns: tuple[str, ...]
    categories: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """All columns, in the order of the cells of the modality."""
        return (*self.columns, *self.categories)


def modalities_of(columns: Mapping[str, ColumnKind], join_texts: bool) -> dict[str, ColumnsOf]:
    """Return modality -> its columns.

    A modality has the name of its kind, or of kind and column where there are several of one kind.
    Numbers and categories form one modality, ``tabular``; texts form one if ``join_texts``.
    """
    found: dict[str, ColumnsOf] = {}
    for kind in ("image", "audio", "text", "series"):
        names = tuple(name for name, found_kind in columns.items() if found_kind == kind)
        if kind in _ALONE or not join_texts:
            called = {n: f"{kind}_{s}" for n, s in distinct_slugs(names).items()}
            if len(names) == 1:
                called = {names[0]: kind}
            found |= {called[name]: ColumnsOf(kind, (name,)) for name in names}
        elif names:
            found[kind] = ColumnsOf(kind, names)
    numbers = tuple(name for name, kind in columns.items() if kind == "number")
    categories = tuple(name for name, kind in columns.items() if kind == "category")
    if numbers or categories:
        found["tabular"] = ColumnsOf("tabular", numbers, categories)
    return found
