"""Spans: the optimizer steps between two events of a phase, done by whoever drives the training.

The training of a run is a generator: it hands out a `Span` whenever steps are due, and goes on when
they are done. `alone` does the steps of one run; `jlrun.training.stacked` those of several at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NoReturn, TypeVar

import torch

from jlrun.data.batch import Batch
from jlrun.data.sampling import joint_batches
from jlrun.engine import Engine
from jlrun.errors import RunError
from jlrun.ranks.world import ALONE, World
from jlrun.seeding import derive_seed, has_code_of_others, seed_everything, seed_torch
from jlrun.training.diagnosis.conflict import GradientConflict
from jlrun.training.diagnosis.measure import (
    NO_DIAGNOSIS,
    Diagnosis,
    GradientMeasurement,
    measure_gradients,
)
from jlrun.training.learner import Learner
from jlrun.training.meter import Meter, read_together
from jlrun.training.not_finite import Kept, where_not_finite
from jlrun.training.plan import Phase
from jlrun.training.recorder import MAIN_FIT, Position, Recorder
from jlrun.training.state import PhaseState
from jlrun.training.stats import StepStats
from jlrun.training.step import NotFinite, check_finite, lower_rate, train_step
from jlrun.training.timed import timed
from jlrun.wording import counted

MOST_SKIPPED_TOLD = 5  # steps of a fit that are left out, each in a line
WAIT_SECONDS = 0.1  # between two looks whether another run has finished a baseline
T = TypeVar("T")


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
        skipped_before: steps of the fit's earlier phases that were left out.
        unchecked: the last steps, of which nobody knows yet whether they are finite; only on
            devices that run ahead.
    """

    fit: str
    phase: Phase
    learner: Learner
    state: PhaseState
    first_step: int
    save: Callable[[bool], None]
    skipped_before: int = 0
    unchecked: list[StepStats] = field(init=False, default_factory=list)
    window: Meter = field(init=False)
    epoch_meter: Meter = field(init=False)
    gradient_conflict: GradientConflict = field(init=False, default_factory=GradientConflict)
    seed: int | None = field(init=False, default=None)
    world: World = field(init=False, default=ALONE)
    _batches: Iterator[Mapping[str, Batch]] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        labels = [o.label for o in self.phase.objectives]
        self.window = Meter(labels, list(self.learner.terms))
        self.epoch_meter = Meter(labels, list(self.learner.terms))

    def position(self) -> Position:
        """Return the position of the phase in the run, for the records."""
        epoch = -(-self.state.step // self.phase.steps_per_epoch)
        return Position(self.fit, self.phase.name, max(1, epoch), self.first_step + self.state.step)

    def batches(self, seed: int) -> Iterator[Mapping[str, Batch]]:
        """Return the batches of the steps that are left; ``seed``: of the run."""
        self.seed = seed
        if self._batches is None:
            self._batches = _batches(self.phase, self.state.step, seed)
        return self._batches

    @cached_property
    def has_code_of_others(self) -> bool:
        """Whether a step runs code that may draw from the generators of Python and NumPy."""
        learner, recipe = self.learner, self.phase.recipe
        modules = (learner.model, learner.weighting, learner.terms, learner.balance)
        tasks = [objective.spec.task for objective in self.phase.objectives]
        others = (type(learner.optimizer), learner.average, recipe.schedule, *tasks)
        return has_code_of_others((*modules, *others))

    def forget_batches(self) -> None:
        """Take the batches of the steps that are left anew: some may have been lost."""
        self._batches = None

    def take_in(self, stats: StepStats, recorder: Recorder) -> None:
        """Remember what a step measured, which is done."""
        self.window.add(stats)
        self.epoch_meter.add(stats)
        recorder.step(self.first_step + self.state.step)


class Clock:
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

    def share(self, seconds: float, count: int, samples: int) -> None:
        """Count steps that were done for ``count`` runs at once, each with its share of the time.

        Args:
            seconds: that they took together.
            count: of runs.
            samples: rows of this one.
        """
        own = seconds / count
        self._state.seconds += own
        self._state.samples += samples
        self._seconds += own
        self._samples += samples
        self._started = time.perf_counter()

    def values(self) -> dict[str, float]:
        """Return tag -> samples per second, and the share of the wait, since the last call."""
        seconds = max(self._seconds, 1e-9)
        rate, share = self._samples / seconds, self._waited / seconds
        self._seconds, self._waited, self._samples = 0.0, 0.0, 0
        return {"train/samples_per_second": rate, "data/wait_share": share}


@dataclass
class Span:
    """Steps of a phase that are due.

    Attributes:
        run: the phase.
        context: of its training.
        clock: counts their time.
        stop: number of steps of the phase that are done afterwards.
        seen: task gradients measured before the last of them; None: not measured.
        interrupted: whether the user asked the run to stop, which may have ended them early.
    """

    run: PhaseRun
    context: TrainContext
    clock: Clock
    stop: int
    seen: GradientMeasurement | None = None
    interrupted: bool = False

    def advance(self) -> None:
        """Do the steps, or fewer if the user asks the run to stop.

        Raises:
            RunError: if a loss or the gradient is not a finite number; on a device that runs ahead
                that is found later, by `check_unchecked`.
        """
        run, context, clock = self.run, self.context, self.clock
        state, phase = run.state, run.phase
        coming = run.batches(context.seed)
        seed = seed_everything if run.has_code_of_others else seed_torch
        while state.step < self.stop:
            with timed("data"):
                batches = next(coming)
            clock.add_wait()
            run.learner.set_lr(phase.recipe.schedule(state.step, phase.num_steps))
            self.seen = _measure(run, context, batches)
            clock.skip()
            seed(context.seed, phase.name, state.step)
            run.world = context.engine.world
            stats = _step(run, context, batches)
            clock.add(sum(b.size for b in batches.values()), wait=state.step == self.stop)
            with timed("recording"):
                if stats is not None:
                    run.take_in(stats, context.recorder)
                    if context.engine.checks_later:
                        run.unchecked.append(stats)
            self.interrupted = context.interrupted()
            if self.interrupted:
                return


class Waiting:
    """Wait for another run."""

    def advance(self) -> None:
        """Wait a moment."""
        time.sleep(WAIT_SECONDS)


Training = Generator[Span | Waiting, None, T]


def alone(training: Training[T]) -> T:
    """Do the steps of one run as they come; return what its training returns."""
    error: Exception | None = None
    try:
        while True:
            due = next(training) if error is None else training.throw(error)
            error = None
            try:
                due.advance()
            except Exception as raised:
                error = raised
    except StopIteration as end:
        return end.value


def _batches(phase: Phase, start: int, seed: int) -> Iterator[Mapping[str, Batch]]:
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


def _step(run: PhaseRun, context: TrainContext, batches: Mapping[str, Batch]) -> StepStats | None:
    """Do a step, or leave it out if a number is not finite and that may be: then return None."""
    number, engine, learner = run.state.step, context.engine, run.learner
    run.state.step += 1
    kept = Kept.of(learner) if engine.skip_nonfinite else None
    try:
        return train_step(learner, run.phase, batches, engine, number)
    except NotFinite as error:
        if kept is not None:  # BatchNorm's statistics, by which the rows are looked at
            kept.restore(learner)
        where = where_not_finite(run.phase, batches, engine.world, number, learner, engine)
        if run.skipped_before + run.state.skipped >= engine.skip_nonfinite:
            raise_not_finite(run, error.what, run.state.step, where)
        run.state.skipped += 1
        if run.skipped_before + run.state.skipped <= MOST_SKIPPED_TOLD:
            at = f"step {run.state.step} of phase '{run.phase.name}' ({run.fit})"
            cause = f": {where}" if where else ""
            what = f"{error.what} is not a finite number{cause}"
            context.recorder.message(f"{at} is left out: {what}")
        return None


def tell_skipped(run: PhaseRun, context: TrainContext) -> None:
    """State how many steps were left out, once the phase ends, if not each was told."""
    count = run.state.skipped
    if count and run.skipped_before + count > MOST_SKIPPED_TOLD:
        steps = counted(count, "step")
        where = f"phase '{run.phase.name}' ({run.fit})"
        context.recorder.message(f"{where} has left out {steps} with numbers that are not finite")


def check_unchecked(run: PhaseRun) -> None:
    """Check the steps that ran ahead of the device, before anything that they led to is kept.

    Raises:
        RunError: if a loss or the gradient of one of them is not a finite number.
    """
    steps, run.unchecked = run.unchecked, []
    read_together(steps)
    for number, stats in enumerate(steps, run.state.step - len(steps) + 1):
        try:
            check_finite(stats, run.learner, run.phase)
        except NotFinite as error:
            raise_not_finite(run, error.what, number, _rows_of_earlier(run, number - 1))


def _rows_of_earlier(run: PhaseRun, number: int) -> str:
    """Return which rows of a step had inputs or targets that are not finite, if any had."""
    if run.seed is None:
        return ""
    batches = next(_batches(run.phase, number, run.seed))
    return where_not_finite(run.phase, batches, run.world, number)


def raise_not_finite(run: PhaseRun, what: str, step: int, where: str = "") -> NoReturn:
    """End a run.

    Args:
        run: the phase.
        what: is not finite, in words.
        step: of the phase, from 1.
        where: which rows it comes from, in words; empty if none stands out.

    Raises:
        RunError: always.
    """
    cause = f", from {where}" if where else ""
    lower = lower_rate(run.learner.optimizer.param_groups)
    hint = " or engine.precision=fp32" if run.learner.scaler.is_enabled() else ""
    raise RunError(
        f"{what} is not a finite number at step {step} of phase "
        f"'{run.phase.name}' ({run.fit}){cause}: try {lower} or "
        f"engine.clip_norm=1{hint}"
    )


def _measure(
    run: PhaseRun, context: TrainContext, batches: Mapping[str, Batch]
) -> GradientMeasurement | None:
    number = run.state.step
    if run.fit != MAIN_FIT or not context.diagnosis.due(number):
        return None
    seed_everything(context.seed, run.phase.name, number)  # as the step itself is seeded
    with timed("diagnosis"):
        return measure_gradients(
            run.learner, run.phase, batches, context.engine, number, context.diagnosis
        )
