"""``metrics.csv``: every recorded number, one per row, and the curves in it."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from io import StringIO
from pathlib import Path
from typing import Any, TextIO
from zlib import crc32

from jlrun.errors import UserError
from jlrun.files.atomic import reading, with_name, write_text
from jlrun.files.regular import check_regular
from jlrun.training.recorder import (
    NOTHING,
    ByFit,
    Position,
    Recorder,
    is_kept,
    is_of_the_end,
    main_goes_on,
)

COLUMNS = ("fit", "phase", "epoch", "step", "tag", "value")
HEADER = ",".join(COLUMNS)
FIX = f"restore it from a copy, or go on without its numbers: write only '{HEADER}' into it"


class MetricsCsvRecorder(Recorder):
    """Append numbers to a CSV file with the columns `COLUMNS`; floats are written exactly.

    Args:
        path: the file; `rewind` makes it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO | None = None
        self._last_step: dict[tuple[str, str], int] = {}
        # fit -> number of its rows and CRC-32 of what is in them
        self._sums: dict[str, tuple[int, int]] = {}

    def recorded(self, fit: str) -> dict[str, Any]:
        return {self.path.name: self._sums.get(fit, (0, 0))}

    def rewind(
        self,
        keep: Mapping[str, int | None],
        recorded: ByFit = NOTHING,
    ) -> None:
        known = {fit: tuple(found[self.path.name]) for fit, found in recorded.items()}
        if known and not self.path.exists():
            raise UserError.of(str(self.path), f"is missing; {FIX}")
        goes_on = main_goes_on(keep)
        rows = [
            row
            for row in read_rows(self.path)
            if is_kept(row[0], int(row[3]), keep) and not (goes_on and is_of_the_end(row[4]))
        ]
        self._last_step, self._sums = {}, {}
        unseen = {fit: found for fit, found in known.items() if found[0]}
        for fit, _, _, step, tag, _ in rows:
            self._last_step[fit, tag] = max(int(step), self._last_step.get((fit, tag), -1))
        for row in rows:
            self._count(row[0], [row])
            if self._sums[row[0]] == unseen.get(row[0]):
                del unseen[row[0]]
        if unseen and rows:
            what = f"the numbers of '{next(iter(unseen))}' up to its checkpoint are not as recorded"
            raise UserError.of(str(self.path), f"is damaged ({what}); {FIX}")
        self._replace(rows)

    def scalars(self, at: Position, values: Mapping[str, float]) -> None:
        assert self._file, "a recorder is rewound before it records"
        place, last = (at.fit, at.phase, str(at.epoch), str(at.step)), self._last_step
        rows = [
            (*place, tag, repr(float(value)))
            for tag, value in values.items()
            if not last or at.step > last.get((at.fit, tag), -1)
        ]
        csv.writer(self._file, lineterminator="\n").writerows(rows)
        self._count(at.fit, rows)
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

    def _count(self, fit: str, rows: Sequence[tuple[str, ...]]) -> None:
        """Count rows of a fit, and what is in them."""
        number, sum_before = self._sums.get(fit, (0, 0))
        content = "".join(["\0".join(row) for row in rows]).encode()
        self._sums[fit] = number + len(rows), crc32(content, sum_before)

    def _replace(self, rows: Iterable[tuple[str, ...]]) -> None:
        """Put ``rows`` in the place of the file at once, and append from there."""
        self.close()
        text = StringIO()
        csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows])
        write_text(self.path, text.getvalue())
        self._file = self.path.open("a", encoding="utf-8", newline="")


def read_rows(path: Path) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a ``metrics.csv`` below its header, without one that a kill cut short.

    Raises:
        UserError: if it is there and is none, or a row of it is not as it was written.
    """
    if not path.exists():
        return
    check_regular(path)
    with reading(path, FIX):
        text = path.read_text(encoding="utf-8")
        lines = text[: text.rfind("\n") + 1].split("\n")[:-1]
        if lines[:1] != [HEADER]:
            raise ValueError(f"it does not begin with the line '{HEADER}'")
        for number, row in enumerate(csv.reader(lines[1:], strict=True), 2):
            yield _checked(row, number)


def _checked(row: Sequence[str], number: int) -> tuple[str, ...]:
    try:
        _, _, epoch, step, _, value = row
        _ = int(epoch), int(step), float(value)
    except ValueError as error:
        raise ValueError(f"line {number}") from error
    return tuple(row)


@dataclass
class Curve:
    """The values of a tag over a phase of a fit.

    Attributes:
        fit, phase, tag: what the curve is of.
        steps: optimizer steps since the phase began.
        values: one per step.
    """

    fit: str
    phase: str
    tag: str
    steps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)


def read_curves(path: Path) -> list[Curve]:
    """Return the curves in the order in which they begin; they are not to be changed."""
    with suppress(OSError):
        state = path.stat()
        return [*_remembered(path, state.st_size, state.st_mtime_ns)]
    return _read(path)  # empty, or raises the error


@lru_cache(maxsize=1)  # every figure of a run asks for those of the same file
def _remembered(path: Path, size: int, modified: int) -> list[Curve]:
    del size, modified  # a file that has changed is another
    return _read(path)


def _read(path: Path) -> list[Curve]:
    curves: dict[tuple[str, str, str], Curve] = {}
    for fit, phase, _, step, tag, value in read_rows(path):
        curve = curves.setdefault((fit, phase, tag), Curve(fit, phase, tag))
        curve.steps.append(int(step))
        curve.values.append(float(value))
    _count_from_phase(curves.values())
    return list(curves.values())


def _count_from_phase(curves: Iterable[Curve]) -> None:
    """Count steps from where the phase before ended, instead of from where the fit began."""
    last_step: dict[str, dict[str, int]] = {}
    for curve in curves:
        phases = last_step.setdefault(curve.fit, {})
        phases[curve.phase] = max(phases.get(curve.phase, 0), curve.steps[-1])
    for curve in curves:
        phases = list(last_step[curve.fit])
        i = phases.index(curve.phase)
        first_step = last_step[curve.fit][phases[i - 1]] if i else 0
        curve.steps = [step - first_step for step in curve.steps]
