"""The training loop, the only one. Nothing here knows which mode or method is at work."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from jlrun.errors import Interrupted
from jlrun.evaluation.scores import evaluate, mean_loss, mean_score, predictor
from jlrun.objective.balance.base import EpochView
from jlrun.objective.weightings.base import GradientWeighting, Weighting
from jlrun.seeding import seed_everything
from jlrun.training.alike import check_alike
from jlrun.training.diagnosis.gradients import shared_parameters
from jlrun.training.diagnosis.measure import GradientMeasurement
from jlrun.training.diagnosis.tags import WEIGHT, affinity_values, descent_values, gradient_values
from jlrun.training.learner import Learner
from jlrun.training.plan import Phase
from jlrun.training.recorder import MAIN_FIT, Position
from jlrun.training.spans import (
    Clock,
    PhaseRun,
    Span,
    TrainContext,
    Training,
    alone,
    check_unchecked,
    raise_not_finite,
    tell_skipped,
)
from jlrun.training.state import Best, PhaseState
from jlrun.training.timed import timed


def train(run: PhaseRun, context: TrainContext) -> None:
    """Train a phase to its end by itself; see `training`."""
    alone(training(run, context))


def training(run: PhaseRun, context: TrainContext) -> Training[None]:
    """Train a phase to its end, from wherever ``run.state`` is.

    At the end of each epoch the model is scored on validation rows and the best weights are kept.

    Yields:
        the steps that are due, up to the next point of the curves.

    Raises:
        RunError: if a loss or the gradient is not a finite number; no checkpoint has parameters
            that moved by it.
        Interrupted: if the user asked to stop; a checkpoint has been written.
    """
    yield from _steps_and_epochs(run, context)
    tell_skipped(run, context)


def _steps_and_epochs(run: PhaseRun, context: TrainContext) -> Training[None]:
    state, phase, learner = run.state, run.phase, run.learner
    clock = Clock(state, context.engine)
    if context.diagnosis.every is not None and state.step == 0:
        _warn_without_shared_parameters(run, context)
    if _out_of_patience(phase, state):
        return
    if state.step == 0:
        learner.balance.after_epoch(_between_epochs(run, context), 0)
        clock.skip()
    while state.step < phase.num_steps:
        span = Span(run, context, clock, _next_stop(run, context))
        yield span
        with timed("recording"):
            if _point_due(state.step, phase.steps_per_epoch, context.log_every):
                _record_point(run, context, clock)
            if span.seen is not None:
                _record_gradients(run, context, span.seen)
        if state.step % phase.steps_per_epoch == 0:
            _end_epoch(run, context)
            with timed("checkpoints"):
                run.save(False)
            if _out_of_patience(phase, state) or context.recorder.wants_to_stop():
                return
            clock.skip()
        if span.interrupted:
            check_unchecked(run)
            run.save(True)
            raise Interrupted


def _next_stop(run: PhaseRun, context: TrainContext) -> int:
    """Return the steps that are done when the next point is due, or gradients are measured."""
    per_epoch = run.phase.steps_per_epoch
    step = run.state.step + 1
    while not _point_due(step, per_epoch, context.log_every):
        if run.fit == MAIN_FIT and context.diagnosis.due(step - 1):
            break
        step += 1
    return step


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


def _record_point(run: PhaseRun, context: TrainContext, clock: Clock) -> None:
    check_unchecked(run)
    values = run.window.means() | _settings(run.learner, run.phase)
    if context.diagnosis.every is None:
        values |= _gradient_values(run.learner.weighting, run.phase)
    context.recorder.scalars(run.position(), values | clock.values())
    run.window.reset()


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
    if torch.are_deterministic_algorithms_enabled():
        when = f"at the end of epoch {at.epoch} of phase '{phase.name}' ({run.fit})"
        check_alike(learner.model, context.engine.world, when)
    with timed("evaluation"), learner.to_be_scored(phase.train) as model:
        seed_everything(context.seed, phase.name, "judge", at.epoch)
        predict, world = predictor(model, context.engine), context.engine.world
        scores = evaluate(predict, phase.selection, phase.val, world=world)
        for label, metrics in scores.items():
            if not math.isfinite(metrics["loss"]):
                raise_not_finite(run, f"the validation loss of '{label}'", state.step)
        selection = phase.selector(model, context.engine, at.epoch)
        score, loss = mean_score(scores, phase.selection), mean_loss(scores, phase.selection)
        if selection.score is not None:
            score = selection.score
        improved = state.best is None or state.best.beaten_by(score, loss)
        if improved:
            state.remember(Best(score, loss, at.epoch, at.step, scores), model)
        values = _by_tag("val", scores) | dict(selection.values) | _oracle_scores(run, context, at)
    state.stale_epochs = 0 if improved else state.stale_epochs + 1
    with timed("recording"):
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
    predict, world = predictor(run.learner.model, context.engine), context.engine.world
    scores = evaluate(predict, phase.oracle, phase.oracle_streams, world=world)
    score, loss = mean_score(scores, phase.oracle), mean_loss(scores, phase.oracle)
    state.last = Best(score, loss, at.epoch, at.step, scores)
    if state.oracle is None or state.oracle.beaten_by(score, loss):
        state.oracle = state.last
    return _by_tag("oracle", scores)


def _by_tag(split: str, scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    return {f"{split}/{t}/{m}": v for t, metrics in scores.items() for m, v in metrics.items()}


def _summary(run: PhaseRun, scores: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    summary = {"train/total_loss": run.epoch_meter.means().get("train/total_loss", math.nan)}
    for objective in run.phase.selection:
        metric = objective.spec.task.primary
        if objective.label in scores:
            summary[f"val/{objective.label}/{metric}"] = scores[objective.label][metric]
    return summary
