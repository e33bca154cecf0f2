"""``metrics.csv``: every recorded number, one per row."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import TextIO

from jlrun.files import with_name, write_text
from jlrun.recorders.base import Position, Recorder, is_kept

COLUMNS = ("fit", "phase", "epoch", "step", "tag", "value")


class MetricsCsvRecorder(Recorder):
    """Append numbers to a CSV file with the columns `COLUMNS`; floats are written exactly.

    Args:
        path: the file; `rewind` makes it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO | None = None
        self._last_step: dict[tuple[str, str], int] = {}

    def rewind(self, keep: Mapping[str, int | None]) -> None:
        rows = [row for row in read_rows(self.path) if is_kept(row[0], int(row[3]), keep)]
        self._last_step = {}
        for fit, _, _, step, tag, _ in rows:
            self._last_step[fit, tag] = max(int(step), self._last_step.get((fit, tag), -1))
        self._replace(rows)

    def scalars(self, at: Position, values: Mapping[str, float]) -> None:
        assert self._file, "a recorder is rewound before it records"
        csv.writer(self._file, lineterminator="\n").writerows(
            (at.fit, at.phase, at.epoch, at.step, tag, repr(float(value)))
            for tag, value in values.items()
            if at.step > self._last_step.get((at.fit, tag), -1)
        )
        try:
            self._file.flush()
        except OSError as error:
            raise with_name(error, self.path) from error

    def flush(self) -> None:
        if self._file:
            os.fsync(self._file.fileno())

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None

    def _replace(self, rows: Iterable[tuple[str, ...]]) -> None:
        """Put ``rows`` in the place of the file at once, and append from there."""
        self.close()
        text = StringIO()
        csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows])
        write_text(self.path, text.getvalue())
        self._file = self.path.open("a", encoding="utf-8", newline="")


def read_rows(path: Path) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a ``metrics.csv`` below its header, without one that a kill cut short."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
        lines = [line for line in file if line.endswith("\n")]
    for row in csv.reader(lines[1:]):
        if len(row) == len(COLUMNS):
            yield tuple(row)
