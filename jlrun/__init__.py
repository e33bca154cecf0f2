"""Joint-learning experiments from configuration: transfer, multi-task and multimodal learning.

``jlrun.run(["mode=transfer", "seed=1"])`` is the command line for notebooks and programs, as are
`sweep` and `study`; `load` opens what is in a folder. Importing this imports neither PyTorch nor
pandas: the functions do, when they are called.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jlrun.reporting.result import Result as Result
    from jlrun.runs.opened.plain_model import PlainModel as PlainModel
    from jlrun.runs.opened.run import Run as Run
    from jlrun.runs.opened.runs import Runs as Runs
    from jlrun.runs.opened.runs import StudyRuns as StudyRuns

    __version__: str

_CLASSES = {
    "Result": "jlrun.reporting.result",
    "Run": "jlrun.runs.opened.run",
    "Runs": "jlrun.runs.opened.runs",
    "StudyRuns": "jlrun.runs.opened.runs",
    "PlainModel": "jlrun.runs.opened.plain_model",
}

__all__ = ["Result", "__version__", "load", "run", "study", "sweep"]


def run(overrides: Sequence[str] = ()) -> Result:
    """Train one experiment and return what it found.

    Args:
        overrides: what the command line takes, for example ``["mode=multitask", "seed=1"]``.

    Raises:
        UserError: with every problem of the configuration, or what is wrong with the data.
        RunError: if the run fails for a reason that one line explains.
    """
    from jlrun.config import checked
    from jlrun.runs.starting import execute

    return execute(checked(list(overrides)))


def load(path: str | os.PathLike[str]) -> Run | Runs | StudyRuns:
    """Open the run in a folder, or the runs below it: of a sweep, a study, or all of ``outputs``.

    Nothing is read before it is asked for, but which folders hold runs.

    Args:
        path: the folder.

    Returns:
        The run; the runs; those of a study with its answers.

    Raises:
        UserError: if there is no such folder, or no run in it.
    """
    from jlrun.runs.opened import runs

    return runs.load(path)


def sweep(overrides: Sequence[str]) -> Runs:
    """Run a sweep, as ``jlrun --multirun`` does, and return its runs, failed ones included.

    Args:
        overrides: what the command line takes, for example ``["weighting=equal,pcgrad"]``.

    Raises:
        UserError: if a value is wrong; no job runs.
        Interrupted: if the user stops it.
    """
    from jlrun.runs.opened import launching

    return launching.sweep(overrides)


def study(overrides: Sequence[str]) -> StudyRuns | None:
    """Run a study, as ``jlrun study`` does, and return its runs with what they answer.

    Args:
        overrides: what the command line takes, for example ``["dataset=digits",
            "study.budget=10min"]``.

    Returns:
        The study; None for a plan alone (``study.dry=true``).

    Raises:
        UserError: if the data or an override is wrong; nothing is trained.
        Interrupted: if the user stops it; the same call goes on.
    """
    from jlrun.runs.opened import launching

    return launching.study(overrides)


def __getattr__(name: str) -> Any:
    if name in _CLASSES:
        return getattr(import_module(_CLASSES[name]), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("jlrun")
    raise AttributeError(f"module 'jlrun' has no attribute '{name}'")
