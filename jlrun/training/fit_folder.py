"""Folder of a fit: its checkpoints, and its result once it is complete."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from jlrun.errors import UserError
from jlrun.evaluation.per_class import PerClass
from jlrun.evaluation.saved_scores import SavedScores
from jlrun.evaluation.scores import Scores, SplitScores
from jlrun.files.atomic import REWRITE, read_json, reading
from jlrun.files.run_directory import BEST, LAST
from jlrun.models import checkpoints
from jlrun.training.plan import Fit, Phase
from jlrun.training.state import PhaseState

# Criterion of phases without scores on validation rows.
LAST_EPOCH = "last"


@dataclass(frozen=True)
class FitResult:
    """Result of a fit.

    Attributes:
        val, test: task -> metric -> score under the selected weights.
        also: result key -> scores on the test splits of other streams.
        selected: phase, epoch and step of the selected weights, and what selected them
            (`LAST_EPOCH`: nothing).
        per_class: label of a task with classes -> class -> how well it is found in the test split.
        last, oracle: test scores by label after the last epoch and after the best one, where the
            last phase asks for them; empty elsewhere.
        parameters: of the model; ``trainable``: of those, what the last phase trains.
        seconds, samples, steps: spent in training, over all phases and sessions.
        skipped: steps that were left out because a number was not finite.
    """

    val: Scores
    test: Scores
    also: Mapping[str, Scores]
    selected: Mapping[str, Any]
    parameters: int
    trainable: int
    seconds: float
    samples: int
    steps: int
    last: Scores
    oracle: Scores
    per_class: PerClass = field(default_factory=dict)
    skipped: int = 0

    @property
    def scores(self) -> SplitScores:
        """Validation and test scores."""
        return SplitScores(self.val, self.test)


class SavedFit(BaseModel):
    """Contract of ``fit.json``."""

    val: SavedScores
    test: SavedScores
    also: dict[str, SavedScores]
    selected: dict[str, Any]
    parameters: int
    trainable: int
    seconds: float
    samples: int
    steps: int
    last: SavedScores
    oracle: SavedScores
    skipped: int = 0


@dataclass(frozen=True)
class Completed:
    """Phases of a fit that are over, and their cost."""

    phases: int = 0
    steps: int = 0
    seconds: float = 0.0
    samples: int = 0
    skipped: int = 0

    def plus(self, state: PhaseState) -> Completed:
        """Return this with one more phase."""
        return Completed(
            phases=self.phases + 1,
            steps=self.steps + state.step,
            seconds=self.seconds + state.seconds,
            samples=self.samples + state.samples,
            skipped=self.skipped + state.skipped,
        )


@dataclass(frozen=True)
class FitFolder:
    """The checkpoints of a fit: ``last``, ``best``, one per earlier phase, and ``fit.json``.

    Attributes:
        path: the folder, ``checkpoints`` of the run or of a baseline.
        save_seconds: time between two checkpoints of an ongoing phase.
    """

    path: Path
    save_seconds: float

    @property
    def last(self) -> Path:
        """The checkpoint from which the fit goes on."""
        return self.path / LAST

    @property
    def best(self) -> Path:
        """The selected weights of the last phase."""
        return self.path / BEST

    def selected(self, fit: Fit, phase: Phase) -> Path:
        """Folder of the selected weights of ``phase``."""
        return self.best if phase is fit.phases[-1] else self.path / phase.name

    def result(self) -> FitResult | None:
        """Return the result of the fit; None before it is complete."""
        file = self.path / "fit.json"
        if not file.exists():
            return None
        with reading(file, REWRITE):
            return FitResult(**read_json(file, SavedFit, REWRITE))

    def repair(self) -> str | None:
        """Repair what a kill left behind, and replace a damaged ``last`` by the one before it.

        Returns:
            a line for the user; None if nothing was damaged.

        Raises:
            UserError: if that one is damaged, too.
        """
        checkpoints.recover(self.last)
        if self.result() is not None or not self.last.exists():
            return None
        try:
            checkpoints.verify(self.last)
        except UserError as error:
            checkpoints.go_back(self.last, error)
            return (
                f"'{self.last}' was damaged: going on from the checkpoint before it, step "
                f"{self.last_step()}"
            )
        return None

    def recorded(self) -> Mapping[str, Any]:
        """Return what was recorded of the fit at the last checkpoint; nothing without one."""
        found: Mapping[str, Any] = {}
        if checkpoints.exists(self.last):
            found = checkpoints.load_state(self.last)["recorded"]
        return found

    def last_step(self) -> int:
        """Optimizer steps of the fit at the last checkpoint; 0 without one."""
        if not checkpoints.exists(self.last):
            return 0
        saved = checkpoints.load_state(self.last)
        unfinished = saved["unfinished"]
        steps: int = saved["completed"]["steps"]
        return steps if unfinished is None else steps + unfinished["state"]["step"]
