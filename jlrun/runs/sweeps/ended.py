"""Jobs of a sweep that is running, and how they ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from jlrun.errors import UserError
from jlrun.files.atomic import read_json, write_json
from jlrun.files.bounded_text import parse_yaml, read_bounded
from jlrun.files.run_directory import RunDirectory
from jlrun.runs.sweeps.begun import job_overrides

COMPLETED, FAILED, INTERRUPTED, PRUNED = "completed", "failed", "interrupted", "pruned"


@dataclass(frozen=True)
class SweepJob:
    """A job to be run.

    Attributes:
        number: its number in the sweep.
        overrides: those that it is composed of.
        named: what tells it from the others, for people.
        begun: when, by the clock of this process; before it begins, when it was planned.
    """

    number: int
    overrides: tuple[str, ...]
    named: str = ""
    begun: float = field(default_factory=time.monotonic, compare=False)

    def begins(self) -> SweepJob:
        """Return the job, begun now."""
        return replace(self, begun=time.monotonic())


@dataclass(frozen=True)
class Ended:
    """End of a job.

    Attributes:
        directory: of the run.
        status: completed, failed, interrupted or pruned.
        seconds: it took in this launch.
        objective: name, value and direction, of a completed one.
        error: what went wrong, in one line.
    """

    job: SweepJob
    directory: Path
    status: str
    seconds: float
    objective: dict[str, Any] | None = None
    error: str | None = None


class Watcher(Protocol):
    """Receives what happens to jobs."""

    def started(self, job: SweepJob) -> None:
        """A job begins."""

    def ended(self, end: Ended) -> None:
        """A job has ended."""


JobSource = Iterator[SweepJob | None]  # None: none now, perhaps later


def end_of(job: SweepJob, directory: Path, error: str | None = None) -> Ended:
    """Return how a job ended, by what its folder says.

    Args:
        job: the job.
        directory: its run directory.
        error: what went wrong, if its process has told.
    """
    seconds, result = time.monotonic() - job.begun, result_in(directory)
    if error is not None or result is None:
        return Ended(job, directory, FAILED, seconds, error=error or "it left no result")
    status = PRUNED if result.get("pruned") else str(result.get("status"))
    lines = str(result.get("error") or "").strip().splitlines()
    last = lines[-1] if lines else None
    return Ended(job, directory, status, seconds, result.get("objective"), last)


def result_in(directory: Path) -> dict[str, Any] | None:
    """Return the content of a run's ``result.json`` without checking it; None if there is none."""
    file = RunDirectory(directory).result
    try:
        return read_json(file) if file.is_file() else None
    except UserError as error:
        return {"status": "damaged", "error": str(error)}


def record_kill(job: SweepJob, directory: Path, error: str) -> None:
    """Write the result of a job whose process was killed, unless it was complete by then."""
    before = result_in(directory) or {}
    if before.get("status") in ("completed", "damaged"):
        return
    config = RunDirectory(directory).config
    known: Any = parse_yaml(read_bounded(config)) if config.is_file() else {}
    content = {"schema": 1, "mode": known.get("mode"), "seed": known.get("seed")}
    content |= {"overrides": job_overrides(job.overrides), **before}
    write_json(RunDirectory(directory).result, content | {"status": FAILED, "error": error})
