"""The loop's clock: training as it is on the wall, with its data and without its evaluation."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from torch import nn

from jlrun.data.streams import Stream
from jlrun.engine import Engine
from jlrun.errors import Interrupted, RunError
from jlrun.training import spans
from jlrun.training.learner import build_learner
from jlrun.training.loop import train
from jlrun.training.recorder import NullRecorder, Position
from jlrun.training.spans import PhaseRun, raise_not_finite
from jlrun.training.state import PhaseState
from jlrun.training.step import lower_rate
from tests.toy import CPU, AheadEngine, StopAt, toy_model, toy_phase, toy_surroundings

BATCH, STEP, SCORING = 3.0, 1.0, 50.0  # seconds


@dataclass
class Time:
    """Time that passes where it is told to."""

    now: float = 0.0

    def perf_counter(self) -> float:
        return self.now


@dataclass
class Kept(NullRecorder):
    """Keeps what was recorded, by tag."""

    values: dict[str, list[float]] = field(default_factory=dict)

    def scalars(self, at: Position, values: Mapping[str, float]) -> None:
        for tag, value in values.items():
            self.values.setdefault(tag, []).append(value)


def slow(stream: Stream, clock: Time) -> Stream:
    """Make each batch take time."""
    batches = stream.batches

    def waited(start: int, stop: int):
        for batch in batches(start, stop):
            clock.now += BATCH
            yield batch

    stream.batches = waited  # pyright: ignore[reportAttributeAccessIssue]
    return stream


def test_data_counts_as_training_and_scoring_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, kept, model = Time(), Kept(), toy_model()
    monkeypatch.setattr(spans, "time", clock)
    phase = toy_phase(epochs=2)
    phase = replace(phase, train={name: slow(s, clock) for name, s in phase.train.items()})

    def passed(module: object, *_: object) -> None:
        clock.now += STEP if model.training else SCORING

    model.register_forward_hook(passed)
    context = toy_surroundings(recorder=kept)
    learner = build_learner(model, phase, context.engine)
    run = PhaseRun("main", phase, learner, PhaseState(), 0, lambda force: None)
    train(run, context)
    assert clock.now > 2 * SCORING  # scoring took time
    assert run.state.seconds == phase.num_steps * (BATCH + STEP)
    rows = sum(len(stream.rows) for stream in phase.train.values())
    assert run.state.samples == 2 * rows
    shares, rates = kept.values["data/wait_share"], kept.values["train/samples_per_second"]
    assert shares == pytest.approx([BATCH / (BATCH + STEP)] * len(shares))
    assert rates == pytest.approx([8 / (BATCH + STEP)] * len(rates))


@pytest.mark.parametrize("done", [0, 7])
def test_code_of_others_draws_the_same_in_a_step_whatever_was_drawn_before(done: int) -> None:
    phase, drawn = toy_phase(), list[list[tuple[float, float]]]()

    def draw(module: nn.Module, given: object) -> None:
        if module.training:
            drawn[-1].append((random.random(), np.random.rand()))  # noqa: NPY002

    for start in (0, done):
        model = toy_model()
        learner = build_learner(model, phase, Engine(CPU))
        model.heads["sign"].register_forward_pre_hook(draw)
        random.seed(start)
        np.random.seed(start)  # noqa: NPY002
        drawn.append([])
        state = PhaseState(step=start)
        train(PhaseRun("main", phase, learner, state, 0, lambda _: None), toy_surroundings())
    assert len(drawn[0]) == phase.num_steps
    assert drawn[1] == drawn[0][done:]


def failing_run(engine: Engine, at: int, saved: list[int]) -> PhaseRun:
    """Return a run whose loss is no number in one step, counted from 1."""
    phase, model = toy_phase(), toy_model()
    learner = build_learner(model, phase, engine)
    run = PhaseRun("main", phase, learner, PhaseState(), 0, lambda force: saved.append(1))

    def spoil(module: object, given: object, found: torch.Tensor) -> torch.Tensor | None:
        return found * torch.nan if run.state.step == at else None

    model.heads["sign"].register_forward_hook(spoil)
    return run


@pytest.mark.parametrize("engine", [Engine(CPU), AheadEngine(CPU)])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_step_that_is_not_finite_ends_the_run_before_it_is_kept(engine: Engine, at: int) -> None:
    saved: list[int] = []
    run, expected = failing_run(engine, at, saved), f"'sign' is not a finite number at step {at} "
    with pytest.raises(RunError, match=expected):
        train(run, toy_surroundings(engine=engine))
    assert not saved


@pytest.mark.parametrize(("rate", "hint"), [(0.1, "0.01"), (1e30, "0.001"), (math.inf, "0.001")])
def test_the_rate_to_try_next_is_one_that_may_work(rate: float, hint: str) -> None:
    run = failing_run(Engine(CPU), 1, [])
    for group in run.learner.optimizer.param_groups:
        group["base_lr"] = rate
    with pytest.raises(RunError, match=rf"try optimizer\.lr={hint} or"):
        raise_not_finite(run, "the loss", 1)


def test_the_rate_to_try_next_is_that_of_the_part_with_the_largest() -> None:
    body = {"name": "body", "base_lr": 1e-3, "lr_scale": 1}
    assert lower_rate([body, {"name": "head", "base_lr": 0.1, "lr_scale": 100}]) == (
        "finetune.head_lr=10"
    )
    assert lower_rate([body, {"name": "head", "base_lr": 1e9, "lr_scale": 1e12}]) == (
        "finetune.head_lr=1"
    )
    assert lower_rate([{**body, "base_lr": 0.5}, {"name": "terms", "base_lr": 0.5}]) == (
        "optimizer.lr=0.05"
    )


def test_an_interruption_keeps_no_step_that_is_not_finite() -> None:
    saved: list[int] = []
    engine = AheadEngine(CPU)
    context = toy_surroundings(StopAt(1), engine)
    with pytest.raises(RunError, match="at step 1 "):
        train(failing_run(engine, 1, saved), context)
    assert not saved
    with pytest.raises(Interrupted):
        train(failing_run(engine, 3, saved), toy_surroundings(StopAt(1), engine))
    assert saved == [1]


def test_records_are_the_same_on_a_device_that_runs_ahead() -> None:
    found = []
    for engine in (Engine(CPU), AheadEngine(CPU)):
        kept, phase, model = Kept(), toy_phase(epochs=2), toy_model()
        learner = build_learner(model, phase, engine)
        run = PhaseRun("main", phase, learner, PhaseState(), 0, lambda force: None)
        train(run, toy_surroundings(engine=engine, recorder=kept))
        timed = ("train/samples_per_second", "data/wait_share")
        found.append({tag: v for tag, v in kept.values.items() if tag not in timed})
    assert found[0] == found[1]
    assert found[0]["train/sign/loss"][-1] < found[0]["train/sign/loss"][0]
