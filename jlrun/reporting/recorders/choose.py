"""The recorders that a config asks for."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal, TextIO

from jlrun.files.run_directory import RunDirectory
from jlrun.reporting.recorders.composite import Recorders
from jlrun.reporting.recorders.figure_files import FigureFileRecorder
from jlrun.reporting.recorders.metrics_csv import MetricsCsvRecorder
from jlrun.reporting.recorders.plain import LogRecorder, PlainRecorder
from jlrun.training.recorder import NullRecorder, Recorder

ProgressKind = Literal["auto", "live", "plain", "none"]


def make_recorder(
    run_dir: Path, tensorboard: bool = True, figures: bool = True, progress: ProgressKind = "auto"
) -> Recorders:
    """Return what records a run into its directory, and the display on standard output.

    Args:
        run_dir: the run directory; is made where it does not exist.
        tensorboard: write ``tb/``.
        figures: write figures as PNG to ``figures/``.
        progress: what to show, see `make_progress`.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    run = RunDirectory(run_dir)
    parts: list[Recorder] = [MetricsCsvRecorder(run.metrics)]
    if tensorboard:
        from jlrun.reporting.recorders.tensorboard import TensorBoardRecorder

        parts.append(TensorBoardRecorder(run.tensorboard))
    if figures:
        parts.append(FigureFileRecorder(run.figures))
    parts += [LogRecorder(run.log), make_progress(progress, sys.stdout)]
    return Recorders(parts)


def make_progress(kind: ProgressKind, stream: TextIO) -> Recorder:
    """Return the display of a run.

    Args:
        kind: ``auto`` is ``live`` on a terminal that can move its cursor, and ``plain`` elsewhere.
        stream: where to show it.
    """
    if kind == "auto":
        kind = "live" if stream.isatty() and os.environ.get("TERM") != "dumb" else "plain"
    if kind == "none":
        return NullRecorder()
    if kind == "plain":
        return PlainRecorder(stream)
    from rich.console import Console

    from jlrun.reporting.recorders.live import LiveRecorder

    return LiveRecorder(Console(file=stream, force_terminal=True))
