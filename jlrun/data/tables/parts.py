"""The rows of a table for training, validation and test, and what is wrong with the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from jlrun.data.tables.files.bad_rows import BadRow, BadRows
from jlrun.data.tables.files.store import Store
from jlrun.data.tables.rows import TableRows

SPLIT_NAMES = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "eval"), "val"),
    **dict.fromkeys(("test", "testing", "tst", "held_out", "heldout"), "test"),
}


@dataclass(frozen=True)
class Part:
    """Some rows of a table.

    Attributes:
        store: the table.
        rows: positions in it, int64 ``(N,)``.
        bad: the bad rows of its file, shared by all parts of the file.
    """

    store: Store
    rows: np.ndarray
    bad: BadRows

    @classmethod
    def whole(cls, store: Store) -> Part:
        """Return all rows of a table."""
        return cls(store, np.arange(len(store)), store.bad())

    def without(self, mistakes: Mapping[int, BadRow]) -> Part:
        """Return the part without the rows at these positions, which are added to the bad ones."""
        self.bad.extend(list(mistakes.values()))
        kept = np.ones(len(self.rows), dtype=bool)
        kept[list(mistakes)] = False
        return replace(self, rows=self.rows[kept])


def divided(whole: Part, column: str) -> dict[str, Part]:
    """Return split -> its rows, by the names of splits in a column; others are bad rows."""
    store = whole.store
    codes, levels = store.codes(column)[whole.rows], store.levels(column)
    kinds = np.array([SPLIT_NAMES.get(name.strip().lower(), "") for name in levels] + [""])[codes]
    wrong = {
        i: BadRow(
            int(store.places()[whole.rows[i]]),
            "unknown split",
            f"{column} is '{levels[codes[i]] if codes[i] >= 0 else ''}'; expected train, val, test",
        )
        for i in np.flatnonzero(kinds == "").tolist()
    }
    whole.without(wrong)
    return {
        split: replace(whole, rows=whole.rows[kinds == split])
        for split in ("train", "val", "test")
        if (kinds == split).any()
    }


def groups_of(rows: TableRows, column: str) -> np.ndarray:
    """Return the group of each row, int64 ``(N,)``; a row without one is a group of its own."""
    codes = rows.store.codes(column)[rows.rows].astype(np.int64)
    alone = codes < 0
    codes[alone] = codes.max(initial=0) + 1 + np.arange(int(alone.sum()))
    return codes
