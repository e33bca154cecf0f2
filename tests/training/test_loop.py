"""The loop's clock: training as it is on the wall, with its data and without its evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest

from jlrun.data.streams import Stream
from jlrun.training import spans
from jlrun.training.learner import build_learner
from jlrun.training.loop import train
from jlrun.training.recorder import NullRecorder, Position
from jlrun.training.spans import PhaseRun
from jlrun.training.state import PhaseState
from tests.toy import toy_model, toy_phase, toy_surroundings

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
