"""The recorders that a config asks for, as one."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO

from jlrun.files.run_directory import RunDirectory
from jlrun.reporting.recorders.figure_files import FigureFileRecorder
from jlrun.reporting.recorders.metrics_csv import MetricsCsvRecorder
from jlrun.reporting.recorders.plain import LogRecorder, MessageRecorder, PlainRecorder
from jlrun.training.recorder import (
    NOTHING,
    ByFit,
    Header,
    NullRecorder,
    PhaseInfo,
    Position,
    Recorder,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor


class Recorders(Recorder):
    """Pass everything on to each of ``parts``, in this order."""

    def __init__(self, parts: Sequence[Recorder]) -> None:
        self.parts = tuple(parts)

    def recorded(self, fit: str) -> dict[str, Any]:
        return {name: found for part in self.parts for name, found in part.recorded(fit).items()}

    def rewind(
        self,
        keep: Mapping[str, int | None],
        recorded: ByFit = NOTHING,
    ) -> None:
        for part in self.parts:
            part.rewind(keep, recorded)

    def start(self, header: Header) -> None:
        for part in self.parts:
            part.start(header)

    def begin_phase(self, phase: PhaseInfo) -> None:
        for part in self.parts:
            part.begin_phase(phase)

    def step(self, step: int) -> None:
        for part in self.parts:
            part.step(step)

    def scalars(self, at: Position, values: Mapping[str, float]) -> None:
        for part in self.parts:
            part.scalars(at, values)

    def epoch(self, at: Position, summary: Mapping[str, float], best: bool) -> None:
        for part in self.parts:
            part.epoch(at, summary, best)

    def end_phase(self) -> None:
        for part in self.parts:
            part.end_phase()

    def figure(self, tag: str, figure: Figure, step: int) -> None:
        for part in self.parts:
            part.figure(tag, figure, step)

    def precision_recall(self, tag: str, positive: Tensor, scores: Tensor, step: int) -> None:
        for part in self.parts:
            part.precision_recall(tag, positive, scores, step)

    def embedding(self, name: str, vectors: Tensor, labels: Mapping[str, Sequence[str]]) -> None:
        for part in self.parts:
            part.embedding(name, vectors, labels)

    def text(self, tag: str, text: str) -> None:
        for part in self.parts:
            part.text(tag, text)

    def message(self, line: str) -> None:
        for part in self.parts:
            part.message(line)

    def flush(self) -> None:
        for part in self.parts:
            part.flush()

    def finish(self, result: Mapping[str, Any]) -> None:
        for part in self.parts:
            part.finish(result)

    def close(self) -> None:
        for part in self.parts:
            with suppress(OSError):  # of a full disk, which has been reported
                part.close()


ProgressKind = Literal["auto", "live", "plain", "messages", "none"]


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
    if kind == "messages":
        return MessageRecorder(stream)
    if kind == "plain":
        return PlainRecorder(stream)
    from rich.console import Console

    from jlrun.reporting.recorders.live import LiveRecorder

    return LiveRecorder(Console(file=stream, force_terminal=True))
