"""Ctrl-C and SIGTERM: within a run, too late for it, and between several runs."""

from __future__ import annotations

import signal

import pytest

from jlrun.training import interruption
from jlrun.training.interruption import interruptible, listening

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_run_is_asked_to_stop_and_a_second_time_stops_at_once(number: int) -> None:
    before = [signal.getsignal(each) for each in SIGNALS]
    with listening() as stop:
        assert not stop()
        signal.raise_signal(number)
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert [signal.getsignal(each) for each in SIGNALS] == before


def test_a_signal_that_a_launcher_passes_on_once_more_is_the_same_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(interruption, "world_size", lambda: 2)
    with listening() as stop:
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
            signal.raise_signal(number)
        assert stop()
    monkeypatch.setattr(interruption, "SETTLE_SECONDS", 0.0)
    with listening():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("number", SIGNALS)
def test_what_comes_too_late_for_a_run_ends_the_runs_after_it(number: int) -> None:
    with listening():
        signal.raise_signal(number)  # one run alone: it is complete, and that is all
    done = list[int]()

    def run(each: int) -> None:
        with listening():
            if each == 1:
                signal.raise_signal(number)
            done.append(each)

    with pytest.raises(KeyboardInterrupt), interruptible():
        list(map(run, range(3)))
    assert done == [0, 1]


@pytest.mark.parametrize("number", SIGNALS)
def test_between_runs_a_signal_ends_all(number: int) -> None:
    before = [signal.getsignal(each) for each in SIGNALS]
    with interruptible():
        with listening():
            pass
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert [signal.getsignal(each) for each in SIGNALS] == before
