"""The experiment trackers that a config asks for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from jlrun.reporting.recorders.tracking import Tracker, TrackingRecorder


def tracking_recorders(run_dir: Path, wandb: bool, mlflow: bool) -> list[TrackingRecorder]:
    """Return a recorder for each tracker.

    Args:
        run_dir: the run directory.
        wandb: send the run to Weights & Biases.
        mlflow: send it to MLflow.

    Raises:
        UserError: if a library is absent.
    """
    return [TrackingRecorder(run_dir, tracker) for tracker in _trackers(run_dir, wandb, mlflow)]


def _trackers(run_dir: Path, wandb: bool, mlflow: bool) -> Iterator[Tracker]:
    if wandb:
        from jlrun.reporting.recorders.wandb_run import WandbRun

        yield WandbRun()
    if mlflow:
        from jlrun.reporting.recorders.mlflow_run import MlflowRun

        yield MlflowRun()
