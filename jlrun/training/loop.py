"""The training loop, the only one. Nothing here knows which mode or method is at work."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import torch

from jlrun.data.batch import Batch
from jlrun.data.sampling import joint_batches
from jlrun.engine import Engine
from jlrun.errors import Interrupted, RunError
from jlrun.evaluation.scores import evaluate, mean_loss, mean_score, predictor
from jlrun.objective.balance.base import EpochView
from jlrun.objective.weightings.base import GradientWeighting, Weighting
from jlrun.seeding import derive_seed, seed_everything
from jlrun.training.diagnosis.conflict import GradientConflict
from jlrun.training.diagnosis.gradients import shared_parameters
from jlrun.training.diagnosis.measure import (
    NO_DIAGNOSIS,
    Diagnosis,
    GradientMeasurement,
    measure_gradients,
)
from jlrun.training.diagnosis.tags import WEIGHT, affinity_values, descent_values, gradient_values
from jlrun.training.learner import Learner
from jlrun.training.meter import Meter, read_together
from jlrun.training.plan import Phase
from jlrun.training.recorder import MAIN_FIT, Position, Recorder
from jlrun.training.spans import each, span
from jlrun.training.state import Best, PhaseState
from jlrun.training.stats import StepStats
from jlrun.training.step import NotFinite, check_finite, train_step


@dataclass(frozen=True)
class TrainContext:
    """Context of a training loop: everything but what it trains.

    Attributes:
        engine: device, precision, accumulation.
        recorder: receives all metrics and events.
        seed: of the run.
        log_every: optimizer steps between two points of a curve, about: points divide an epoch
            evenly, so that each is a mean over as many steps and none spans two epochs.
        interrupted: whether the user asked the run to stop; called after every step.
        diagnosis: which task gradients of the main fit are measured, and when.
    """

    engine: Engine
    recorder: Recorder
    seed: int
    log_every: int
    interrupted: Callable[[], bool]
    diagnosis: Diagnosis = NO_DIAGNOSIS


@dataclass
class PhaseRun:
    """A phase in progress.

    Attributes:
        fit: name of the fit.
        phase: what is trained.
        learner: what trains.
        state: how far it is.
        first_step: optimizer steps of the fit before this phase.
        save: writes a checkpoint of all this; ``save(force)``: now, or when one is due.
        unchecked: the last steps, of which nobody knows yet whether they are finite; only on
            devices that run ahead.
    """

    fit: str
    phase: Phase
    learner: Learner
    state: PhaseState
    first_step: int
    save: Callable[[bool], None]
    unchecked: list[StepStats] = field(init=False, default_factory=list)
    window: Meter = field(init=False)
    epoch_meter: Meter = field(init=False)
    gradient_conflict: GradientConflict = field(init=False, default_factory=GradientConflict)

    def __post_init__(self) -> None:
        labels = [o.label for o in self.phase.objectives]
        self.window = Meter(labels, list(self.learner.terms))
        self.epoch_meter = Meter(labels, list(self.learner.terms))

    def position(self) -> Position:
        """Return the position of the phase in the run, for the records."""
        epoch = -(-self.state.step // self.phase.steps_per_epoch)
        return Position(self.fit, self.phase.name, max(1, epoch), self.first_step + self.state.step)


def train(run: PhaseRun, context: TrainContext) -> None:
    """Train a phase to its end, from wherever ``run.state`` is.

    At the end of each epoch the model is scored on validation rows and the best weights are kept.

    Raises:
        RunError: if a loss or the gradient is not a finite number; no checkpoint has parameters
            that moved by it.
        Interrupted: if the user asked to stop; a checkpoint has been written.
    """
    state, phase, learner = run.state, run.phase, run.learner
    clock = _Clock(state, context.engine)
    if context.diagnosis.every is not None and state.step == 0:
        _warn_without_shared_parameters(run, context)
    if _out_of_patience(phase, state):
        return
    if state.step == 0:
        learner.balance.after_epoch(_between_epochs(run, context), 0)
        clock.skip()
    for batches in each("data", _steps(phase, state.step, context.seed)):
        clock.add_wait()
        learner.set_lr(phase.recipe.schedule(state.step, phase.num_steps))
        seen = _measure(run, context, batches)
        clock.skip()
        seed_everything(context.seed, phase.name, state.step)
        stats = _step(run, context, batches)
        due = _point_due(state.step, phase.steps_per_epoch, context.log_every)
        clock.add(sum(batch.size for batch in batches.values()), wait=due)
        with span("recording"):
            _observe(run, context, stats, clock, due)
            if seen is not None:
                _record_gradients(run, context, seen)
        if state.step % phase.steps_per_epoch == 0:
            _end_epoch(run, context)
            with span("checkpoints"):
                run.save(False)
            if _out_of_patience(phase, state):
                return
            clock.skip()
        if context.interrupted():
            _check_finite(run)
            run.save(True)
            raise Interrupted


def _out_of_patience(phase: Phase, state: PhaseState) -> bool:
    return phase.recipe.patience is not None and state.stale_epochs >= phase.recipe.patience


def _point_due(step: int, steps_per_epoch: int, log_every: int) -> bool:
    """Return whether a point of the curves ends with ``step``, counted from 1."""
    points = max(1, round(steps_per_epoch / log_every))
    position = (step - 1) % steps_per_epoch
    return position * points // steps_per_epoch < (position + 1) * points // steps_per_epoch


def _between_epochs(run: PhaseRun, context: TrainContext) -> EpochView:
    phase = run.phase
    return EpochView(
        model=run.learner.model,
        objectives=phase.objectives,
        train=phase.train,
        held=phase.held,
        autocast=context.engine.autocast,
    )


def _steps(phase: Phase, start: int, seed: int) -> Iterator[Mapping[str, Batch]]:
    order = derive_seed(seed, phase.name, "sampling")
    drop = phase.recipe.modality_dropout
    steps = joint_batches(phase.train, phase.sampling, start, phase.num_steps, order)
    if not drop.acts:
        yield from steps
        return
    for step, batches in enumerate(steps, start):
        seeds = {n: derive_seed(seed, phase.name, n, "modality_dropout", step) for n in batches}
        yield {
            name: drop(batch, torch.Generator().manual_seed(seeds[name]))
            for name, batch in batches.items()
        }


class _Clock:
    """Adds the time and rows of training steps to the state, the wait for their data included."""

    def __init__(self, state: PhaseState, engine: Engine) -> None:
        self._state = state
        self._engine = engine
        self._started = time.perf_counter()
        self._seconds, self._waited = 0.0, 0.0
        self._samples = 0

    def skip(self) -> None:
        """Leave out the time since the last call (scoring, saving, diagnosis)."""
        self._started = time.perf_counter()

    def add_wait(self) -> None:
        """Count the time since the last call as a wait for the batches of a step."""
        before = self._seconds
        self.add()
        self._waited += self._seconds - before

    def add(self, samples: int = 0, wait: bool = False) -> None:
        """Count the time since the last call, in which a step of ``samples`` rows ended.

        Args:
            samples: 0 if none has.
            wait: until the device has done it.
        """
        if wait:
            self._engine.synchronize()
        now = time.perf_counter()
        elapsed, self._started = now - self._started, now
        self._state.seconds += elapsed
        self._state.samples += samples
        self._seconds += elapsed
        self._samples += samples

    def values(self) -> dict[str, float]:
        """Return tag -> samples per second, and the share of the wait, since the last call."""
        seconds = max(self._seconds, 1e-9)
        rate, share = self._samples / seconds, self._waited / seconds
        self._seconds, self._waited, self._samples = 0.0, 0.0, 0
        return {"train/samples_per_second": rate, "data/wait_share": share}


def _observe(
    run: PhaseRun, context: TrainContext, stats: StepStats, clock: _Clock, due: bool
) -> None:
    run.window.add(stats)
    run.epoch_meter.add(stats)
    context.recorder.step(run.first_step + run.state.step)
    if context.engine.runs_ahead:
        run.unchecked.append(stats)
    if due:
        _check_finite(run)
        values = run.window.means() | _settings(run.learner, run.phase)
        if context.diagnosis.every is None:
            values |= _gradient_values(run.learner.weighting, run.phase)
        context.recorder.scalars(run.position(), values | clock.values())
        run.window.reset()


def _step(run: PhaseRun, context: TrainContext, batches: Mapping[str, Batch]) -> StepStats:
    number = run.state.step
    run.state.step += 1
    try:
        return train_step(run.learner, run.phase, batches, context.engine, number)
    except NotFinite as error:
        _raise_not_finite(run, error.what, run.state.step)


def _check_finite(run: PhaseRun) -> None:
    """Check the steps that ran ahead of the device, before anything that they led to is kept."""
    steps, run.unchecked = run.unchecked, []
    read_together(steps)
    for number, stats in enumerate(steps, run.state.step - len(steps) + 1):
        try:
            check_finite(stats, run.learner, run.phase)
        except NotFinite as error:
            _raise_not_finite(run, error.what, number)


def _raise_not_finite(run: PhaseRun, what: str, step: int) -> NoReturn:
    rate = run.learner.optimizer.param_groups[0]["base_lr"]
    hint = " or engine.precision=fp32" if run.learner.scaler.is_enabled() else ""
    raise RunError(
        f"{what} is not a finite number at step {step} of phase "
        f"'{run.phase.name}' ({run.fit}): try optimizer.lr={rate / 10:g} or "
        f"engine.clip_norm=1{hint}"
    )


def _settings(learner: Learner, phase: Phase) -> dict[str, float]:
    values = {f"train/lr/{g['name']}": float(g["lr"]) for g in learner.optimizer.param_groups}
    weights = learner.weighting.last_weights.tolist()
    labels = [o.label for o in phase.objectives]
    return values | {f"{WEIGHT}{label}": w for label, w in zip(labels, weights, strict=True)}


def _gradient_values(weighting: Weighting, phase: Phase) -> dict[str, float]:
    """Return the weighting's last measurement of task gradients; empty for loss weightings."""
    if not isinstance(weighting, GradientWeighting):
        return {}
    labels = [objective.label for objective in phase.objectives]
    return gradient_values(labels, weighting.last_gramian.cpu(), weighting.last_active)


def _measure(
    run: PhaseRun, context: TrainContext, batches: Mapping[str, Batch]
) -> GradientMeasurement | None:
    number = run.state.step
    if run.fit != MAIN_FIT or not context.diagnosis.due(number):
        return None
    seed_everything(context.seed, run.phase.name, number)  # as the step itself is seeded
    with span("diagnosis"):
        return measure_gradients(
            run.learner, run.phase, batches, context.engine, number, context.diagnosis
        )


def _warn_without_shared_parameters(run: PhaseRun, context: TrainContext) -> None:
    several = run.fit == MAIN_FIT and len(run.phase.objectives) > 1
    if several and not shared_parameters(run.learner.model):
        context.recorder.message(
            f"diagnosis: phase '{run.phase.name}' trains no parameters that its tasks share"
        )


def _record_gradients(run: PhaseRun, context: TrainContext, seen: GradientMeasurement) -> None:
    """Record the gradients measured before the step, and how the step's update follows them."""
    descents = seen.descents(shared_parameters(run.learner.model))
    run.gradient_conflict.add(descents)
    values = gradient_values(seen.tasks, seen.gramian, seen.active) | descent_values(descents)
    if seen.affinity is not None:
        values |= affinity_values(seen.tasks, seen.affinity)
    context.recorder.scalars(run.position(), values)


def _end_epoch(run: PhaseRun, context: TrainContext) -> None:
    state, phase, learner = run.state, run.phase, run.learner
    learner.weighting.end_epoch()
    at = run.position()
    learner.balance.after_epoch(_between_epochs(run, context), at.epoch)
    with span("evaluation"), learner.to_be_scored(phase.train) as model:
        seed_everything(context.seed, phase.name, "judge", at.epoch)
        scores = evaluate(predictor(model, context.engine), phase.selection, phase.val)
        for label, metrics in scores.items():
            if not math.isfinite(metrics["loss"]):
                _raise_not_finite(run, f"the validation loss of '{label}'", state.step)
        selection = phase.selector(model, context.engine, at.epoch)
        score, loss = mean_score(scores, phase.selection), mean_loss(scores, phase.selection)
        if selection.score is not None:
            score = selection.score
        improved = state.best is None or state.best.beaten_by(score, loss)
        if improved:
            state.remember(Best(score, loss, at.epoch, at.step, scores), model)
        values = _by_tag("val", scores) | dict(selection.values) | _oracle_scores(run, context, at)
    state.stale_epochs = 0 if improved else state.stale_epochs + 1
    with span("recording"):
        context.recorder.scalars(at, values)
        chosen = improved and not math.isnan(score)  # not the last one, for want of scores
        context.recorder.epoch(at, _summary(run, scores) | dict(selection.shown), chosen)
        for line in run.gradient_conflict.end_epoch(at.epoch):
            context.recorder.message(line)
    run.epoch_meter.reset()


def _oracle_scores(run: PhaseRun, context: TrainContext, at: Position) -> dict[str, float]:
    """Score the test split for the oracle, if the phase asks for it; nothing is selected by it."""
    state, phase = run.state, run.phase
    if not phase.oracle:
        return {}
    scores = evaluate(
        predictor(run.learner.model, context.engine), phase.oracle, phase.oracle_streams
    )
    score, loss = mean_score(scores, phase.oracle), mean_loss(scores, phase.oracle)
    state.last = Best(score, loss, at.epoch, at.step, scores)
    if state.oracle is None or state.oracle.beaten_by(score, loss):
        state.oracle = state.last
    return _by_tag("oracle", scores)


def _by_tag(split: str, scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    return {f"{split}/{t}/{m}": v for t, metrics in scores.items() for m, v in metrics.items()}


def _summary(run: PhaseRun, scores: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    summary = {"train/total_loss": run.epoch_meter.means()["train/total_loss"]}
    for objective in run.phase.selection:
        metric = objective.spec.task.primary
        if objective.label in scores:
            summary[f"val/{objective.label}/{metric}"] = scores[objective.label][metric]
    return summary
