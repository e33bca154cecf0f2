"""Ratios are of times of one round; what is written says where and how it was measured."""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.synchronize import Event
from pathlib import Path

from benchmarks.alternation import Comparison, Elsewhere, Sample, Spread, in_turns
from benchmarks.report import table, write


def slowing_down() -> Comparison:
    found = Comparison("a case", "a loop", "step")
    for seconds in (1.0, 2.0, 4.0, 8.0):  # the machine slows down
        found.add(Sample(seconds, seconds / 2), Sample(2 * seconds, seconds / 4))
    return found


def test_ratio_is_of_the_times_of_a_round() -> None:
    assert slowing_down().ratio() == Spread(0.5, 0.5, 0.5)
    assert slowing_down().ratio("cpu") == Spread(2.0, 2.0, 2.0)
    assert slowing_down().seconds("ours") == Spread(3.0, 1.75, 5.0)


def test_one_round_has_no_spread() -> None:
    assert Spread.of([2.0]) == Spread(2.0, 2.0, 2.0)


def test_images_are_told_by_their_rate() -> None:
    found = Comparison("a case", "a loop", "image", [Sample(0.0005, 0.001)], [Sample(0.001, 0.001)])
    assert "| 2,000 images/s | 1,000 images/s | 0.50 (0.50 to 0.50) | 1.00" in table([found])


def test_both_have_their_turn_in_every_round() -> None:
    done = list[str]()
    found = in_turns(
        lambda steps: done.append(f"ours {steps}"),
        lambda steps: done.append(f"theirs {steps}"),
        block=5,
        rounds=2,
        settle=3,
    )
    assert len(found) == 2
    assert done == ["ours 3", "ours 5", "theirs 3", "theirs 5"] * 3


def test_a_loop_elsewhere_is_timed_in_its_process() -> None:
    with Elsewhere(_computing, 0.05) as theirs:
        ((ours, found),) = in_turns(lambda steps: None, theirs, block=2, rounds=1)
        assert theirs(4).cpu >= 0.2
    assert found.cpu >= 0.05
    assert found.wall >= 0.04
    assert ours.cpu < 0.05  # what is done elsewhere does not count here


def _computing(seconds: float) -> Callable[[int], object]:
    def steps(count: int) -> None:
        end = time.process_time() + seconds * count
        while time.process_time() < end:
            pass

    return steps


def test_processor_time_of_workers_counts_before_and_after_they_end() -> None:
    begun = Sample.now()
    context = multiprocessing.get_context("fork")
    ready, stop = context.Event(), context.Event()
    worker = context.Process(target=_compute, args=(ready, stop))
    worker.start()
    ready.wait(30)
    while_it_runs = Sample.now() - begun
    stop.set()
    worker.join()
    assert while_it_runs.cpu >= SECONDS
    assert (Sample.now() - begun).cpu >= while_it_runs.cpu - 0.02  # ticks of two clocks


SECONDS = 0.1


def _compute(ready: Event, stop: Event) -> None:
    while time.process_time() < SECONDS + 0.02:
        pass
    ready.set()
    stop.wait(30)


def test_results_name_command_and_machine(tmp_path: Path) -> None:
    found, command = [slowing_down()], ["step", "--cases", "a case"]
    write(tmp_path, "step", "What a step takes.", found, command, table(found), 1)
    found = json.loads((tmp_path / "step.json").read_text())
    assert found["command"] == "python -m benchmarks step --cases 'a case'"
    assert found["machine"]["versions"]["torch"]
    assert len(found["comparisons"][0]["ours"]) == 4
    text = (tmp_path / "step.md").read_text()
    assert found["command"] in text
    assert table([slowing_down()]) in text
