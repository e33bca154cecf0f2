"""Sweeps and studies from Python: the command line, and its folder opened."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jlrun.errors import INTERRUPTED, Interrupted
from jlrun.runs.opened.runs import Runs, StudyRuns


def sweep(overrides: Sequence[str]) -> Runs:
    """Run a sweep and return its runs; arguments and errors as in `jlrun.sweep`."""
    from jlrun.runs.sweeps.launch import launch

    folders: list[Path] = []
    if launch(list(overrides), opened=folders.append) == INTERRUPTED:
        raise Interrupted("sweep interrupted; the same call goes on")
    return Runs.below(folders[0])


def study(overrides: Sequence[str]) -> StudyRuns | None:
    """Run a study and return its runs; arguments and errors as in `jlrun.study`."""
    from jlrun.runs.study.study import run_study

    folders: list[Path] = []
    run_study(list(overrides), print, folders.append)
    return StudyRuns(folders[0], Runs.below(folders[0]).members) if folders else None
