"""Runs in a folder, found by their files; those of sweeps, folds and studies as groups."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from jlrun.errors import UserError
from jlrun.files.atomic import REWRITE, reading
from jlrun.files.bounded_text import read_yaml
from jlrun.files.lock import in_use
from jlrun.files.run_directory import RunDirectory
from jlrun.reporting.result import read_result
from jlrun.runs.sweeps.records import scores_of

Kind = Literal["run", "folds", "sweep", "study"]
DAMAGED, RUNNING, UNFINISHED = "damaged", "running", "unfinished"
COMPLETED, PRUNED = "completed", "pruned"


@dataclass(frozen=True)
class Found:
    """A run, or a group of them.

    Attributes:
        directory: its folder.
        kind: ``folds`` is a cross-validation, which is a run of its own as well as a group.
        status: completed, failed, interrupted or pruned, as its result has it; running; unfinished:
            without a result, since it was killed; damaged: its result can't be read.
        began: seconds since the epoch.
        result: content of ``result.json``; empty without one that can be read, and of a group.
        scores: name -> number, as `scores_of` returns them.
        error: what went wrong, in one line; None if nothing did.
        members: runs of a group; those that a filter leaves.
        size: number of all members.
    """

    directory: Path
    kind: Kind
    status: str
    began: float
    result: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None
    members: tuple[Found, ...] = ()
    size: int = 0

    @property
    def runs(self) -> tuple[Found, ...]:
        """The runs: itself, or those of a sweep or study; folds are left out."""
        if self.kind in ("run", "folds"):
            return (self,)
        return tuple(run for member in self.members for run in member.runs)

    @property
    def all_runs(self) -> tuple[Found, ...]:
        """The runs, and their folds."""
        return tuple(each for run in self.runs for each in (run, *run.members))

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """The config; empty where there is none that can be read."""
        with suppress(UserError):
            content = read_yaml(RunDirectory(self.directory).config)
            return content if isinstance(content, dict) else {}
        return {}

    @cached_property
    def overrides(self) -> tuple[str, ...]:
        """The overrides, without Hydra's own."""
        found = self.result.get("overrides")
        if not found:
            with suppress(UserError):
                found = read_yaml(RunDirectory(self.directory).overrides)
        texts = found if isinstance(found, list) else []
        return tuple(str(text) for text in texts if not str(text).startswith("hydra"))


def find_runs(folder: Path) -> list[Found]:
    """Return the runs and groups in a folder, or the one that it is, newest first."""
    return sorted(_within(folder), key=lambda each: (-each.began, str(each.directory)))


def is_run(folder: Path) -> bool:
    """Return whether a folder is that of a run: also of one that was refused or has just begun."""
    run = RunDirectory(folder)
    return run.config.is_file() or run.result.is_file()


def run_folders(folder: Path) -> Iterator[Path]:
    """Yield the folders of the runs below a folder, or itself; not those within a run."""
    if is_run(folder):
        yield folder
    else:
        for child in _folders(folder):
            yield from run_folders(child)


def counts(runs: tuple[Found, ...]) -> str:
    """Return how many runs have which status, as in ``3 completed, 1 failed``."""
    found = Counter(run.status for run in runs)
    return ", ".join(f"{number} {status}" for status, number in found.items()) or "empty"


def _within(folder: Path) -> Iterator[Found]:
    run = RunDirectory(folder)
    if run.study.is_file():
        yield _group(folder, "study")
    elif run.sweep_config.is_file():
        yield _group(folder, "sweep")
    elif is_run(folder):
        yield _run(folder)
    else:
        yield from _below(folder)


def _below(folder: Path) -> Iterator[Found]:
    for child in _folders(folder):
        yield from _within(child)


def _folders(folder: Path) -> list[Path]:
    """Return the folders in a folder; links are not followed."""
    try:
        with os.scandir(folder) as entries:
            found = [e.path for e in entries if e.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return sorted(Path(path) for path in found if not os.path.basename(path).startswith("."))


def _group(folder: Path, kind: Kind) -> Found:
    members = tuple(sorted(_below(folder), key=_place))
    running = in_use(folder) or any(member.status == RUNNING for member in members)
    bad = [m for m in members if m.status not in (COMPLETED, PRUNED)]
    status = RUNNING if running else bad[0].status if bad else COMPLETED
    run = RunDirectory(folder)
    began = _time(run.study if kind == "study" else run.sweep_config)
    began = max([began, *(member.began for member in members)])
    return Found(folder, kind, status, began, members=members, size=len(members))


def _place(found: Found) -> tuple[bool, int, str]:
    """Return a key that sorts the jobs of a sweep by their numbers."""
    name = found.directory.name
    return not name.isdigit(), int(name) if name.isdigit() else 0, str(found.directory)


def _run(folder: Path) -> Found:
    run = RunDirectory(folder)
    members = tuple(sorted(_below(run.folds), key=_place)) if run.folds.is_dir() else ()
    kind: Kind = "folds" if members else "run"
    began = _time(run.config if run.config.is_file() else run.result)
    running = in_use(folder)
    try:
        with reading(run.result, REWRITE):
            result = read_result(folder) or {}
            completed = result.get("status") == COMPLETED
            scores = scores_of(result) if completed else {}
    except UserError as error:
        status = RUNNING if running else DAMAGED
        damage = _line(str(error))
        return Found(folder, kind, status, began, {}, {}, damage, members, len(members))
    status = PRUNED if result.get("pruned") else str(result.get("status", UNFINISHED))
    error = _last_line(result.get("error"))
    status = RUNNING if running else status
    return Found(folder, kind, status, began, result, scores, error, members, len(members))


def _time(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _line(text: str) -> str:
    return " ".join(text.split())


def _last_line(error: Any) -> str | None:
    """Return the last line of an error, which of a traceback says what it is."""
    lines = str(error or "").strip().splitlines()
    return _line(lines[-1]) if lines else None
