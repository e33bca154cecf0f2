"""Run a fit through its phases in a folder, from wherever an earlier session left it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from jlrun.data.streams import Stream
from jlrun.engine import out_of_memory_explained
from jlrun.evaluation.scores import Observer
from jlrun.models import checkpoints
from jlrun.models.joint_model import JointModel
from jlrun.ranks.shards import is_shard, load_weights, whole
from jlrun.seeding import seed_everything
from jlrun.training.alike import check_alike
from jlrun.training.fit_folder import LAST_EPOCH, Completed, FitFolder, FitResult
from jlrun.training.fit_scores import TrainedFit
from jlrun.training.learner import build_learner
from jlrun.training.loop import training
from jlrun.training.plan import Fit, Phase
from jlrun.training.recorder import PhaseInfo
from jlrun.training.spans import PhaseRun, TrainContext, Training, alone
from jlrun.training.state import PhaseState


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
        engine, completed = self._around.engine, self._completed
        trained = TrainedFit(self.fit, self.model, self._folder, completed, engine)
        result = trained.score(val, test, observers)
        if self._world.is_first:
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
