"""Start or resume what a config asks for: one run, or those of a cross-validation."""

from __future__ import annotations

from pathlib import Path

from jlrun.config.compose import Composed
from jlrun.config.folds import folded
from jlrun.reporting.result import Result
from jlrun.runs import execution
from jlrun.runs.folds import cross_validate, resume_folds
from jlrun.runs.saved_run import load_any_config


def execute(composed: Composed, watched_by: execution.Watching = None) -> Result:
    """Train the experiment of a checked config in a new run directory.

    Args:
        composed: the config.
        watched_by: as `jlrun.runs.execution.execute`; of a cross-validation, for each fold.

    Raises:
        UserError, RunError, Interrupted: as `jlrun.runs.execution.execute`.
    """
    if folded(composed.config) is None:
        return execution.execute(composed, watched_by=watched_by)
    return cross_validate(composed, watched_by)


def resume(
    directory: Path,
    epochs: int | None = None,
    watched_by: execution.Watching = None,
    shown: bool = False,
) -> Result:
    """Go on with a run, or with the folds of a cross-validation; arguments as
    `jlrun.runs.execution.resume`.

    Raises:
        UserError, RunError, Interrupted: as `jlrun.runs.execution.resume`.
    """
    if folded(load_any_config(directory)[0]) is None:
        return execution.resume(directory, epochs, watched_by, shown)
    return resume_folds(directory, epochs, watched_by)
