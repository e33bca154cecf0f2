"""Run a fit through its phases in a folder, from wherever an earlier session left it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel
from torch import Tensor

from jlrun.data.streams import Stream
from jlrun.engine import out_of_memory_explained
from jlrun.errors import UserError
from jlrun.evaluation.kept_predictions import (
    VAL_PREDICTIONS,
    KeptPredictions,
    save_predictions,
)
from jlrun.evaluation.per_class import PerClass, PerClassCounts
from jlrun.evaluation.saved_scores import SavedScores
from jlrun.evaluation.scores import (
    Observer,
    Scores,
    SplitScores,
    by_task,
    evaluate,
    predictor,
)
from jlrun.files.atomic import REWRITE, read_json, reading, write_json
from jlrun.files.run_directory import BEST, LAST
from jlrun.models import checkpoints
from jlrun.models.joint_model import JointModel
from jlrun.ranks.shards import is_shard, load_weights, whole
from jlrun.seeding import seed_everything
from jlrun.tasks.objective import Objective
from jlrun.training.alike import check_alike
from jlrun.training.learner import build_learner
from jlrun.training.loop import training
from jlrun.training.parameter_rules import rule_for
from jlrun.training.plan import Fit, Phase
from jlrun.training.recorder import PhaseInfo
from jlrun.training.spans import PhaseRun, TrainContext, Training, alone
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


class FitRun:
    """A fit being trained in its folder, from wherever an earlier session left it.

    The checkpoint ``last`` holds the weights, the completed phases and, in the middle of a phase
    and at the end of the last one, all that the phase remembers: it may be made longer. Between two
    phases it holds the selected weights of the first.

    Args:
        fit: its phases.
        model: freshly built, on the device.
        folder: where its checkpoints are and go.
        around: engine, recorder and seed.
    """

    def __init__(
        self, fit: Fit, model: JointModel, folder: FitFolder, context: TrainContext
    ) -> None:
        self.fit = fit
        self.model = model
        self._folder = folder
        self._around = context
        self._completed = Completed()
        self._unfinished: dict[str, Any] | None = None
        self._last_save = time.monotonic()
        self._world = context.engine.world
        saved = self._world.of_first(lambda: _state_in(folder.last))
        if saved is not None:
            tensors = self._world.of_first(lambda: checkpoints.load_tensors(folder.last))
            checkpoints.put(folder.last, tensors, self.model)
            self._completed = Completed(**saved["completed"])
            self._unfinished = saved["unfinished"]
        check_alike(self.model, self._world, f"before the first step of {fit.name}")

    def run(
        self,
        val: Mapping[str, Stream],
        test: Mapping[str, Stream],
        observers: Sequence[Observer] = (),
    ) -> FitResult:
        """Train what is left by itself, and score it; see `training`."""
        return alone(self.training(val, test, observers))

    def training(
        self,
        val: Mapping[str, Stream],
        test: Mapping[str, Stream],
        observers: Sequence[Observer] = (),
    ) -> Training[FitResult]:
        """Train what is left, score the selected weights, and write ``fit.json``.

        This is where the test split is read.

        Args:
            val: stream name -> validation stream of the scored objectives.
            test: stream name -> test stream.
            observers: see each batch while the scored objectives are scored on the test split.
        """
        for phase in self.fit.phases[self._completed.phases :]:
            yield from self._train(phase)
        predict, world = predictor(self.model, self._around.engine), self._world
        done = self._completed
        scored_on_val = self.fit.scored if self.fit.val_scored is None else self.fit.val_scored
        saved = self._world.of_first(lambda: checkpoints.load_state(self._folder.best))
        per_class, kept, kept_val = PerClassCounts(), KeptPredictions(), KeptPredictions()
        result = FitResult(
            val=evaluate(predict, scored_on_val, val, (kept_val,), world),
            test=evaluate(predict, self.fit.scored, test, (*observers, per_class, kept), world),
            also={
                key: by_task(evaluate(predict, objectives, test, world=world), objectives)
                for key, objectives in self.fit.also_scored.items()
            },
            selected=saved["selected"],
            parameters=self.model.num_parameters(),
            trainable=count_trainable(self.model, self.fit.phases[-1]),
            seconds=done.seconds,
            samples=done.samples,
            steps=done.steps,
            last=saved["last"],
            oracle=saved["oracle"],
            per_class=per_class.by_task(),
            skipped=done.skipped,
        )
        for observer in observers:
            observer.finish(done.steps)
        if not world.is_first:
            return result
        save_predictions(self._folder.path, kept.by_task(), _positions(self.fit.scored, test))
        save_predictions(self._folder.path, kept_val.by_task(), name=VAL_PREDICTIONS)
        write_json(self._folder.path / "fit.json", asdict(result))
        checkpoints.forget_previous(self._folder.last)
        return result

    def _train(self, phase: Phase) -> Training[None]:
        seed_everything(self._around.seed, phase.name, "learner")
        learner = build_learner(self.model, phase, self._around.engine)
        run = PhaseRun(
            fit=self.fit.name,
            phase=phase,
            learner=learner,
            state=PhaseState(),
            first_step=self._completed.steps,
            save=lambda force: self._save(run, force),
            skipped_before=self._completed.skipped,
        )
        self._restore(run)
        self._announce(run)
        tasks = ", ".join(f"'{objective.label}'" for objective in phase.objectives)
        where = f"phase '{phase.name}' ({self.fit.name}), which learns {tasks},"
        batch_size = max(stream.rows_per_step for stream in phase.train.values())
        with out_of_memory_explained(where, batch_size):
            yield from training(run, self._around)
        self._around.recorder.end_phase()
        self._finish(run)

    def _save(self, training: PhaseRun, force: bool, at_end: bool = False) -> None:
        due = force or time.monotonic() - self._last_save >= self._folder.save_seconds
        sharded = self._around.engine.sharded
        if sharded:  # all ranks have parts of what is saved
            due = self._world.of_first(lambda: due)
        if not due or not (sharded or self._world.is_first):
            return
        state = training.state
        weights, learner = self.model.state_dict(), training.learner.state_dict()
        best_weights = whole(state.best_weights) if sharded else state.best_weights
        if sharded and at_end:
            weights, learner = whole(weights), whole(learner)
        self._around.recorder.flush()
        if state.best is not None and self._world.is_first:
            # First the best weights: should a kill come between the two, the epochs after `last`
            # are trained again and find the same best once more.
            checkpoints.save_tensors(
                self._folder.selected(self.fit, training.phase),
                best_weights,
                _to_keep(training.phase, state),
            )
        unfinished = {
            "state": state.to_plain(),
            "learner": learner,
            "window": training.window.state_dict(),
            "epoch_meter": training.epoch_meter.state_dict(),
            "opposition": training.gradient_conflict.state_dict(),
        }
        self._save_last(weights, unfinished)

    def _save_last(self, weights: Mapping[str, Tensor], unfinished: dict[str, Any] | None) -> None:
        state = {
            "completed": asdict(self._completed),
            "unfinished": unfinished,
            "recorded": self._around.recorder.recorded(self.fit.name),
        }
        if any(map(is_shard, weights.values())):
            checkpoints.save_shards(self._folder.last, weights, state, self._world)
        elif self._world.is_first:
            checkpoints.save_tensors(self._folder.last, weights, state, keep_previous=True)
        self._last_save = time.monotonic()

    def _restore(self, training: PhaseRun) -> None:
        if self._unfinished is None:
            return
        saved, self._unfinished = self._unfinished, None
        training.state = PhaseState.from_plain(saved["state"])
        training.learner.load_state_dict(saved["learner"])
        training.window.load_state_dict(saved["window"])
        training.epoch_meter.load_state_dict(saved["epoch_meter"])
        training.gradient_conflict.load_state_dict(saved["opposition"])
        if training.state.best is not None:
            best = self._folder.selected(self.fit, training.phase)
            weights = self._world.of_first(lambda: checkpoints.load_tensors(best))
            training.state.best_weights = weights

    def _announce(self, training: PhaseRun) -> None:
        phase, first = training.phase, training.first_step
        self._around.recorder.begin_phase(
            PhaseInfo(
                fit=self.fit.name,
                phase=phase.name,
                num_epochs=phase.epochs,
                steps_per_epoch=phase.steps_per_epoch,
                first_step=first,
                start_step=first + training.state.step,
            )
        )

    def _finish(self, training: PhaseRun) -> None:
        phase, state = training.phase, training.state
        is_last = phase is self.fit.phases[-1]
        if is_last:
            self._save(training, force=True, at_end=True)
        self._around.recorder.flush()
        load_weights(self.model, state.best_weights)
        self._completed = self._completed.plus(state)
        if is_last:
            return
        weights = self.model.state_dict()
        weights = whole(weights) if self._around.engine.sharded else weights
        if self._world.is_first:
            kept = _to_keep(phase, state)
            checkpoints.save_tensors(self._folder.selected(self.fit, phase), weights, kept)
            self._save_last(weights, None)


def _state_in(folder: Path) -> dict[str, Any] | None:
    return checkpoints.load_state(folder) if checkpoints.exists(folder) else None


def _positions(objectives: Sequence[Objective], streams: Mapping[str, Stream]) -> dict[str, Tensor]:
    """Return label -> positions of the labelled rows in their stream."""
    found = {}
    for objective in objectives:
        rows = streams[objective.stream].rows
        mask = rows.labelled.get(objective.spec.column)
        found[objective.label] = (
            torch.arange(len(rows)) if mask is None else mask.nonzero().flatten()
        )
    return found


def count_trainable(model: JointModel, phase: Phase) -> int:
    """Return the number of parameters that train in ``phase``."""
    return sum(
        parameter.numel()
        for name, parameter in model.named_parameters()
        if rule_for(name, phase.rules).lr > 0
    )


def _to_keep(phase: Phase, state: PhaseState) -> dict[str, Any]:
    """Return what is saved next to the selected weights."""
    return {
        "selected": _selected(phase, state),
        "last": {} if state.last is None else dict(state.last.scores),
        "oracle": {} if state.oracle is None else dict(state.oracle.scores),
    }


def _selected(phase: Phase, state: PhaseState) -> dict[str, Any]:
    assert state.best is not None, "a phase has at least one epoch"
    unscored = not state.best.scores and math.isnan(state.best.score)
    return {
        "phase": phase.name,
        "epoch": state.best.epoch,
        "step": state.best.step,
        "score": state.best.score,
        "criterion": LAST_EPOCH if unscored else phase.selector.criterion,
    }
