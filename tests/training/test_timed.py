"""Spans: every second counts once, for the outermost part, and only while someone measures."""

from __future__ import annotations

from contextlib import suppress

import pytest

from jlrun.training import timed as module
from jlrun.training.learner import build_learner
from jlrun.training.loop import train
from jlrun.training.spans import PhaseRun
from jlrun.training.state import PhaseState
from jlrun.training.timed import TimedParts, timed, timed_each, timing
from tests.toy import toy_model, toy_phase, toy_surroundings


class Time:
    """Time that passes where it is told to."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    found = Time()
    monkeypatch.setattr(module, "time", found)
    return found


def test_what_is_within_a_part_counts_there(clock: Time) -> None:
    found = TimedParts(lambda: None)
    with timing(found):
        with timed("evaluation"):
            clock.now += 1
            with timed("forward"):
                clock.now += 2
        with timed("forward"):
            clock.now += 4
        found.paused = True
        with timed("forward"):
            clock.now += 8
            found.paused = False  # a part counts if it began while something was measured
        with suppress(ValueError), timed("backward"):
            clock.now += 16
            raise ValueError
    with timed("forward"):
        clock.now += 32
    assert found.seconds == {"evaluation": 3, "forward": 4, "backward": 16}


def test_a_wait_for_items_is_their_part_and_what_is_done_with_them_is_not(clock: Time) -> None:
    def items():
        for i in range(3):
            clock.now += 1
            yield i

    found, seen = TimedParts(lambda: None), []
    with timing(found):
        for i in timed_each("data", items()):
            clock.now += 10
            seen.append(i)
    assert seen == [0, 1, 2]
    assert found.seconds == {"data": 3}


def test_a_loop_is_measured_in_parts_and_waits_for_the_device_around_each() -> None:
    waits: list[int] = []
    found, phase, context = (
        TimedParts(lambda: waits.append(1)),
        toy_phase(epochs=1),
        toy_surroundings(),
    )
    learner = build_learner(toy_model(), phase, context.engine)
    with timing(found):
        train(PhaseRun("main", phase, learner, PhaseState(), 0, lambda force: None), context)
    parts = {"data", "forward", "backward", "optimizer", "recording", "evaluation", "checkpoints"}
    assert set(found.seconds) == parts
    assert all(seconds > 0 for seconds in found.seconds.values())
    assert len(waits) >= 2 * 5 * phase.num_steps
