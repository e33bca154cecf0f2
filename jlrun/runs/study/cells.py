"""Cells of a study: an arm with a seed, done in a run directory of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from jlrun.config.check import checked
from jlrun.config.compose import Composed
from jlrun.errors import Interrupted, RunError, UserError
from jlrun.files.run_directory import RunDirectory
from jlrun.reporting.result import read_result
from jlrun.runs.execution import execute, resume
from jlrun.runs.faults import fault_lines
from jlrun.runs.study.arms import Arm, quoted
from jlrun.runs.study.budget import Spent

# What is asked first; each with all seeds before the next.
_ROUNDS = (
    ("alone", "joint"),
    ("modalities",),
    ("weightings",),
    ("pairs", "transfer"),
    ("few", "pretraining"),
)


@dataclass(frozen=True)
class Cell:
    """One run of a study."""

    arm: Arm
    seed: int

    @property
    def name(self) -> str:
        """Name of the cell, and its folder below ``runs/``."""
        return f"{self.arm.name}/seed{self.seed}"


@dataclass(frozen=True)
class Done:
    """What became of a cell.

    Attributes:
        status: completed, or failed.
        spent: on it.
        error: what went wrong; None if nothing did.
    """

    status: str
    spent: Spent
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return an entry of ``study.json``."""
        spent = {"seconds": self.spent.seconds, "steps": self.spent.steps}
        return {"status": self.status, **spent, "error": self.error}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Done:
        """Return what `to_json` wrote."""
        spent = Spent(float(entry["seconds"]), int(entry["steps"]), 1)
        return cls(str(entry["status"]), spent, entry["error"])


def cells_of(arms: Sequence[Arm], seeds: int) -> list[Cell]:
    """Return the cells in the order in which they run."""
    return list(_ordered(arms, seeds))


def _ordered(arms: Sequence[Arm], seeds: int) -> Iterator[Cell]:
    for questions in _ROUNDS:
        chosen = [arm for arm in arms if arm.question in questions]
        yield from (Cell(arm, seed) for seed in range(seeds) for arm in chosen)


def estimated(cell: Cell, done: Mapping[str, tuple[Cell, Done]]) -> Spent:
    """Return what a cell may cost: the mean of its arm, of its question, or of all that is done."""
    finished = [(c, d.spent) for c, d in done.values() if d.status == "completed"]
    for alike in (
        [spent for c, spent in finished if c.arm.name == cell.arm.name],
        [spent for c, spent in finished if c.arm.question == cell.arm.question],
        [spent for _, spent in finished],
    ):
        if alike:
            steps = round(fmean(spent.steps for spent in alike))
            return Spent(fmean(spent.seconds for spent in alike), steps, 1)
    return Spent(runs=1)


def run_cell(cell: Cell, runs: Path) -> Done:
    """Train a cell, or go on with it where an earlier start was interrupted.

    Args:
        cell: to be done.
        runs: folder of all cells.

    Raises:
        Interrupted: if the user stops it.
    """
    directory, start = runs / cell.name, time.monotonic()
    try:
        found = read_result(directory) if RunDirectory(directory).config.is_file() else None
        if found is None or found["status"] != "completed":
            result = _trained(cell, directory, runs)
        else:
            result = found
    except Interrupted:
        raise
    except (UserError, RunError) as error:
        return Done("failed", Spent(time.monotonic() - start, 0, 1), " ".join(str(error).split()))
    except Exception as error:  # costs this cell alone
        return Done("failed", Spent(time.monotonic() - start, 0, 1), fault_lines(error))
    steps = int((result.get("cost") or {}).get("steps") or 0)
    return Done("completed", Spent(time.monotonic() - start, steps, 1))


def _trained(cell: Cell, directory: Path, runs: Path) -> Mapping[str, Any]:
    if RunDirectory(directory).config.is_file():
        return resume(directory).to_json()
    return execute(quiet(_overrides(cell, directory, runs))).to_json()


def quiet(overrides: Sequence[str]) -> Composed:
    """Return a checked config that shows no progress, which is no override of the run:
    ``jlrun resume`` of a cell alone shows what it does."""
    composed = checked(overrides)
    recorder = {**composed.config["recorder"], "progress": "none"}
    return replace(composed, config={**composed.config, "recorder": recorder})


def _overrides(cell: Cell, directory: Path, runs: Path) -> list[str]:
    begun = []
    if cell.arm.source is not None:
        source = runs / cell.arm.source / f"seed{cell.seed}"
        begun = [f"source.run={quoted(str(source))}"]
    where = f"hydra.run.dir={quoted(str(directory))}"
    return [*cell.arm.overrides, *begun, f"seed={cell.seed}", where]
