"""Plan of a study as text, with the time that it may take."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jlrun.reporting.recorders.formats import format_seconds
from jlrun.runs.execution import execute
from jlrun.runs.study.arms import Subject, quoted
from jlrun.runs.study.budget import Budget, Spent
from jlrun.runs.study.cells import Cell, quiet
from jlrun.wording import counted


@dataclass(frozen=True)
class Pace:
    """Seconds that a run takes, whatever its epochs, and seconds and steps of an epoch."""

    fixed: float
    epoch: float
    steps: int

    def of(self, epochs: int) -> Spent:
        """Return what a run of that many epochs takes."""
        return Spent(self.fixed + epochs * self.epoch, epochs * self.steps, 1)


def measured(cell: Cell) -> Pace:
    """Return the pace of a cell, from one epoch of it in a folder that is removed again."""
    with tempfile.TemporaryDirectory() as folder:
        where = f"hydra.run.dir={quoted(str(Path(folder) / 'run'))}"
        others = [text for text in cell.arm.overrides if not text.startswith("epochs=")]
        start = time.monotonic()
        result = execute(quiet([*others, "epochs=1", f"seed={cell.seed}", where])).to_json()
        total, cost = time.monotonic() - start, result["cost"]
        return Pace(total - cost["train_seconds"], cost["train_seconds"], cost["steps"])


def size_line(cells: Sequence[Cell], subject: Subject) -> str:
    """Return how many runs a study has."""
    arms = counted(len({cell.arm.name for cell in cells}), "arm")
    seeds = counted(len({cell.seed for cell in cells}), "seed")
    runs, epochs = counted(len(cells), "run"), counted(subject.epochs, "epoch")
    return f"{arms} × {seeds} = {runs} of {epochs}"


def plan_lines(cells: Sequence[Cell], subject: Subject, budget: Budget) -> Iterator[str]:
    """Yield the cells of a study in their order, and which of them the budget may reach."""
    of_run = measured(cells[0]).of(subject.epochs)
    whole, reached = Spent(), 0
    yield size_line(cells, subject)
    for number, cell in enumerate(cells, 1):
        if not budget.reaches(whole, of_run) and not reached:
            reached = number - 1
            yield f"--- the budget reaches about here ({budget})"
        whole += of_run
        yield f"{number:>4}  {cell.name}"
    yield (
        f"about {format_seconds(of_run.seconds)} a run, {format_seconds(whole.seconds)} in all, "
        f"if each is as long as '{cells[0].name}' and none stops early"
    )


def refusal_lines(refused: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each arm that this data does not allow."""
    for name, why in refused.items():
        yield f"  without {name}: {why}"
