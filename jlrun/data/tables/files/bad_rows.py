"""Bad rows of a table: their places in the file, and why they can't be used."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jlrun.data.tables.files.layout import place_word
from jlrun.errors import Problem, UserError
from jlrun.wording import counted

MOST_SHOWN = 10
THOUSANDS = "number with thousands marks"
_FIXES = {THOUSANDS: "write such numbers without the marks"}


@dataclass(frozen=True)
class BadRow:
    """A row that can't be used, for one reason.

    Attributes:
        place: its line, from 1; in Parquet its number.
        reason: kind of mistake, such as ``not a number``.
        detail: the column and its content.
    """

    place: int
    reason: str
    detail: str


class BadRows:
    """Bad rows of a file, with all reasons.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows: list[BadRow] = []

    def add(self, place: int, reason: str, detail: str) -> None:
        """Add a reason against the row at ``place``."""
        self._rows.append(BadRow(place, reason, detail))

    def __len__(self) -> int:
        """Number of reasons."""
        return len(self._rows)

    def extend(self, rows: Sequence[BadRow]) -> None:
        """Add rows that were found before."""
        self._rows.extend(rows)

    @property
    def rows(self) -> Sequence[BadRow]:
        """All reasons, in the order of their rows."""
        return sorted(self._rows, key=lambda row: row.place)

    @property
    def num_rows(self) -> int:
        """Number of bad rows, each counted once."""
        return len({row.place for row in self._rows})

    def counts(self) -> dict[str, int]:
        """Return reason -> number of rows, most frequent first."""
        pairs = {(row.reason, row.place) for row in self._rows}
        found = Counter(reason for reason, _ in pairs)
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    def problems(self) -> list[Problem]:
        """Return a problem for each reason, with its first rows."""
        return [
            Problem(f"{self.path.name}: {reason}", self._listed(reason, count))
            for reason, count in self.counts().items()
        ]

    def _listed(self, reason: str, count: int) -> str:
        rows = [row for row in self.rows if row.reason == reason]
        word = place_word(self.path)
        shown = "; ".join(f"{word} {row.place}: {row.detail}" for row in rows[:MOST_SHOWN])
        more = f"; … and {len(rows) - MOST_SHOWN} more" if len(rows) > MOST_SHOWN else ""
        fix = f"; {_FIXES[reason]}" if reason in _FIXES else ""
        return f"{counted(count, 'row')}. {shown}{more}{fix}"

    def check(self, num_rows: int, where: str, skip: str) -> None:
        """Check that there are no bad rows.

        Args:
            num_rows: number of rows in the file.
            where: option that allows bad rows.
            skip: how to set it so that they are skipped.

        Raises:
            UserError: with the first bad rows of each reason.
        """
        if self._rows:
            found = (
                f"{self.num_rows} of {counted(num_rows, 'row')} of '{self.path.name}' can't be used"
            )
            fix = f"{found}; correct them, or skip them: {skip}"
            raise UserError([*self.problems(), Problem(where, fix)])


def as_csv(tables: Sequence[BadRows]) -> str:
    """Return the bad rows of several files as a CSV table."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "place", "reason", "detail"])
    for table in tables:
        writer.writerows([str(table.path), r.place, r.reason, r.detail] for r in table.rows)
    return text.getvalue()
