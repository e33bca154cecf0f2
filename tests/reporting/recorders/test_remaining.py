"""Time that is left, by a clock that the test turns."""

from __future__ import annotations

import time

import pytest

from jlrun.reporting.recorders.remaining import Remaining
from jlrun.training.recorder import PhaseInfo, PlannedFit, PlannedPhase


class Clock:
    """Clock that stands still until it is turned."""

    def __init__(self) -> None:
        self.now = 100.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    return clock


FITS = [
    PlannedFit("main", (PlannedPhase("pretrain", 2, 20), PlannedPhase("finetune", 4, 40))),
    PlannedFit("scratch", (PlannedPhase("train", 6, 60),)),
]


def begun(remaining: Remaining, fit: str, phase: str, epochs: int, first: int, at: int) -> None:
    remaining.begin_phase(PhaseInfo(fit, phase, epochs, 10, first_step=first, start_step=at))


def test_the_rest_of_all_fits_at_the_pace_so_far(clock: Clock) -> None:
    remaining = Remaining(FITS)
    begun(remaining, "main", "pretrain", 2, 0, 0)
    clock.now += 5
    remaining.epoch(10)
    assert remaining.epoch_seconds == 5
    assert remaining.of_fit == 25  # 10 + 40 steps at half a second
    assert remaining.of_all == 55
    expected = "5.0 s an epoch: about 25.0 s to go, 55.0 s with all baselines"
    assert remaining.line() == f"{expected}, unless phases stop early"
    clock.now += 5
    remaining.epoch(20)
    assert not remaining.line(), "once in a phase is enough"


def test_a_phase_that_stops_early_leaves_nothing(clock: Clock) -> None:
    remaining = Remaining(FITS)
    begun(remaining, "main", "pretrain", 2, 0, 0)
    clock.now += 5
    remaining.epoch(10)
    remaining.end_phase()
    begun(remaining, "main", "finetune", 4, 10, 10)
    clock.now += 20
    remaining.epoch(20)
    assert remaining.of_fit == 60
    assert remaining.of_all == 180


def test_a_resumed_phase_counts_its_own_steps(clock: Clock) -> None:
    remaining = Remaining(FITS)
    begun(remaining, "main", "finetune", 4, 20, 40)
    clock.now += 3
    remaining.epoch(50)
    assert remaining.of_fit == pytest.approx((20 + 10) * 0.3)


def test_what_is_soon_done_needs_no_line(clock: Clock) -> None:
    remaining = Remaining(FITS)
    begun(remaining, "main", "pretrain", 2, 0, 0)
    clock.now += 0.5
    remaining.epoch(10)
    assert not remaining.line()


def test_before_anything_is_known() -> None:
    assert Remaining().of_all == 0
    assert not Remaining().line()
