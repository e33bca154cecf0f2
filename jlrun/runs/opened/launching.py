"""Runs, sweeps and studies from Python: what the commands do, and its folder opened."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jlrun.config.given import give
from jlrun.config.trust import also_trusting
from jlrun.errors import INTERRUPTED, Interrupted, UserError
from jlrun.runs.opened.callbacks import Callbacks, watching
from jlrun.runs.opened.given_parts import GivenParts, check_frames_alone, given_parts
from jlrun.runs.opened.run import Run, interruptions_in_python
from jlrun.runs.opened.runs import Runs, StudyRuns, load

Folder = str | os.PathLike[str]
_FRAMES = Path("outputs", "frames")


def run(
    overrides: Sequence[str],
    trust: Sequence[str],
    config_dir: Folder | None,
    callbacks: Callbacks,
    parts: Mapping[str, Any],
) -> Run:
    """Train one experiment and return its run; arguments and errors as in `jlrun.run`."""
    from jlrun.runs.starting import execute

    watched_by = watching(callbacks)
    with _trusting(trust), given_parts(overrides, config_dir, parts) as given:
        composed = given.checked()
        with interruptions_in_python(composed.run_dir, given.targets):
            execute(composed, watched_by)
    return Run(composed.run_dir, trust=trust)


def check(
    overrides: Sequence[str],
    trust: Sequence[str],
    config_dir: Folder | None,
    parts: Mapping[str, Any],
) -> dict[str, Any]:
    """Return a checked config; arguments and errors as in `jlrun.check`."""
    with _trusting(trust), given_parts(overrides, config_dir, parts) as given:
        return given.checked().config


def opened(path: Folder, trust: Sequence[str], parts: Sequence[Any]) -> Run | Runs | StudyRuns:
    """Open the run or the runs in a folder; arguments and errors as in `jlrun.load`."""
    for part in parts:
        if not (inspect.isclass(part) or inspect.isroutine(part)):
            message = f"expected classes and functions, not a {type(part).__name__}"
            raise UserError.of("parts", message)
        give(part)
    with _trusting(trust):  # checks the names
        return load(path, trust)


def sweep(
    overrides: Sequence[str],
    trust: Sequence[str],
    config_dir: Folder | None,
    frames: Mapping[str, Any],
) -> Runs:
    """Run a sweep and return its runs; arguments and errors as in `jlrun.sweep`."""
    from jlrun.runs.sweeps.launch import launch

    folders: list[Path] = []
    with _trusting(trust), _with_frames(overrides, config_dir, frames) as given:
        ended = launch(given.overrides, given.config_dir, opened=folders.append)
    if ended == INTERRUPTED:
        raise Interrupted("sweep interrupted; the same call goes on")
    return Runs.below(folders[0], trust)


def study(
    overrides: Sequence[str], trust: Sequence[str], frames: Mapping[str, Any]
) -> StudyRuns | None:
    """Run a study and return its runs; arguments and errors as in `jlrun.study`."""
    from jlrun.runs.study.study import run_study

    folders: list[Path] = []
    with _trusting(trust), _with_frames(overrides, None, frames) as given:
        run_study(given.overrides, print, folders.append)
    return StudyRuns(folders[0], Runs.below(folders[0], trust).members) if folders else None


@contextmanager
def _with_frames(
    overrides: Sequence[str], config_dir: Folder | None, frames: Mapping[str, Any]
) -> Iterator[GivenParts]:
    check_frames_alone(frames)
    with given_parts(overrides, config_dir, frames) as given:
        given.keep_frames(_FRAMES)
        yield given


@contextmanager
def _trusting(packages: Sequence[str]) -> Iterator[None]:
    if isinstance(packages, str):
        raise UserError.of("trust", f"'{packages}' is a text; give a list, as in ['{packages}']")
    with also_trusting(packages):
        yield
