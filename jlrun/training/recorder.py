"""Recorder protocol: the metrics and events of a run, and the recorder that ignores them.

A run is a list of fits: the main one, ``"main"``, and one per baseline (``"scratch"``,
``"single_task/digit"``, ``"image"``, …). A fit is a list of phases (``"pretrain"``,
``"finetune"``, …), a phase has epochs, an epoch optimizer steps. Steps count on over the phases
of a fit and start at 0 in each fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

MAIN_FIT = "main"
ByFit = Mapping[str, Mapping[str, Any]]
NOTHING: ByFit = {}


@dataclass(frozen=True)
class PlannedPhase:
    """A phase to come.

    Attributes:
        name: of the phase.
        num_epochs: epochs it may last.
        num_steps: optimizer steps it may last.
    """

    name: str
    num_epochs: int
    num_steps: int


@dataclass(frozen=True)
class PlannedFit:
    """A fit to come, and its phases in their order."""

    name: str
    phases: tuple[PlannedPhase, ...]


@dataclass(frozen=True)
class Header:
    """Facts of a run before it trains.

    Attributes:
        run_dir: the run directory.
        mode: ``transfer``, ``multitask`` or ``multimodal``.
        device: where it computes, in words: ``cpu, 2 threads``.
        parameters: number of the model's parameters.
        trainable: number of those that some phase trains.
        data: name of a stream or data set -> split -> number of rows.
        changed: config path -> value, for what differs from the defaults.
        settings: config path -> value of the choices by which runs are compared (HParams);
            ``changed`` is added to them.
        resumed: whether the run continues an earlier one.
        fits: that are to be trained, the main one first.
    """

    run_dir: Path
    mode: str
    device: str
    parameters: int
    trainable: int
    data: Mapping[str, Mapping[str, int]]
    changed: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    resumed: bool = False
    fits: Sequence[PlannedFit] = ()


@dataclass(frozen=True)
class PhaseInfo:
    """A phase that is about to train.

    Attributes:
        fit: name of the fit.
        phase: name of the phase.
        num_epochs: epochs it may last.
        steps_per_epoch: optimizer steps of an epoch.
        first_step: the fit's step count when the phase began.
        start_step: the fit's step count now; above ``first_step`` in a resumed phase.
    """

    fit: str
    phase: str
    num_epochs: int
    steps_per_epoch: int
    first_step: int
    start_step: int

    @property
    def num_steps(self) -> int:
        """Optimizer steps the phase may last."""
        return self.num_epochs * self.steps_per_epoch


@dataclass(frozen=True)
class Position:
    """Position in a run at which something was measured.

    Attributes:
        fit: name of the fit.
        phase: name of the phase.
        epoch: epochs of the phase that are begun, from 1.
        step: optimizer steps of the fit that are done.
    """

    fit: str
    phase: str
    epoch: int
    step: int


class Recorder:
    """Takes note of a run; does nothing by itself, each kind overrides what concerns it.

    What a call recorded survives a kill of the process, so a run that goes on from a checkpoint
    finds in the files all that was recorded before it.
    """

    def recorded(self, fit: str) -> dict[str, Any]:
        """Return by file what was recorded of a fit so far, for a checkpoint to remember."""
        return {}

    def rewind(
        self,
        keep: Mapping[str, int | None],
        recorded: ByFit = NOTHING,
    ) -> None:
        """Forget what a killed run recorded after the checkpoint from which it goes on.

        Called once, before all else; a run that begins keeps nothing. What is recorded at the end
        of a run, the test scores and the figures, is forgotten where the main fit goes on: a run
        that is made longer had come to its end.

        Args:
            keep: fit -> last step to keep; None keeps all of a finished fit. Fits that are not
                named are forgotten. What is recorded a second time at a kept step counts once.
            recorded: fit -> what `recorded` returned of it at that checkpoint, for some.

        Raises:
            UserError: if less than that is found in the files.
        """

    def start(self, header: Header) -> None:
        """The run begins, or goes on."""

    def begin_phase(self, phase: PhaseInfo) -> None:
        """A phase begins, or goes on."""

    def step(self, step: int) -> None:
        """The fit has done ``step`` optimizer steps; called after each, so it must be cheap."""

    def scalars(self, at: Position, values: Mapping[str, float]) -> None:
        """Record numbers under their tags, such as ``train/digit/loss`` or ``val/digit/accuracy``.

        Tags are those of the main fit; recorders add the name of the fit.
        """

    def epoch(self, at: Position, summary: Mapping[str, float], best: bool) -> None:
        """An epoch has ended: show its few telling numbers, by tag, as in `scalars`.

        Args:
            at: the epoch that ended.
            summary: usually ``train/total_loss`` and one ``val/<task>/<metric>`` per task.
            best: whether no earlier epoch of the phase was better.
        """

    def wants_to_stop(self) -> bool:
        """Return whether the epoch that ended last is to be the last one of its phase."""
        return False

    def end_phase(self) -> None:
        """The phase that began last has ended."""

    def figure(self, tag: str, figure: Figure, step: int) -> None:
        """Record a picture of the main fit."""

    def precision_recall(self, tag: str, positive: Tensor, scores: Tensor, step: int) -> None:
        """Record a curve of precision over recall of the main fit.

        Args:
            tag: of the curve.
            positive: Bool ``(N,)``, the rows that are positive.
            scores: ``(N,)``, the probability of each to be so.
            step: of the fit.
        """

    def embedding(self, name: str, vectors: Tensor, labels: Mapping[str, Sequence[str]]) -> None:
        """Record vectors ``(N, D)`` of the main fit, to be looked at in few dimensions.

        Args:
            name: of these vectors.
            vectors: one per row.
            labels: title -> one label for each row.
        """

    def text(self, tag: str, text: str) -> None:
        """Record a text (Markdown), such as the config."""

    def message(self, line: str) -> None:
        """Receive one line for the user."""

    def flush(self) -> None:
        """Have the disk hold what was recorded so far; called before each checkpoint."""

    def finish(self, result: Mapping[str, Any]) -> None:
        """The run has ended, well or not; ``result`` is the content of ``result.json``."""

    def close(self) -> None:
        """Let go of files and of the terminal; safe to call twice, and without `finish`."""


class NullRecorder(Recorder):
    """Records nothing: for all processes but the first, and for tests."""


OF_THE_END = (
    *("test/", "missing/", "contribution/", "retrieval/test/", "shared_space/"),
    "calibration/",
)


def is_of_the_end(tag: str) -> bool:
    """Return whether numbers of that tag of the main fit are recorded when a run ends."""
    return tag.startswith(OF_THE_END)


def main_goes_on(keep: Mapping[str, int | None]) -> bool:
    """Whether the main fit has a checkpoint and is not finished."""
    return keep.get(MAIN_FIT) is not None


def is_kept(fit: str, step: int, keep: Mapping[str, int | None]) -> bool:
    """Return whether `Recorder.rewind` keeps what ``fit`` recorded at ``step``."""
    if fit not in keep:
        return False
    last = keep[fit]
    return last is None or step <= last
