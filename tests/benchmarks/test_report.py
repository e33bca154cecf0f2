"""Ratios are of times of one round; what is written says where and how it was measured."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.alternation import Comparison, Sample, Spread
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


def test_results_name_command_and_machine(tmp_path: Path) -> None:
    write(tmp_path, "step", "What a step takes.", [slowing_down()], ["step", "--cases", "a case"])
    found = json.loads((tmp_path / "step.json").read_text())
    assert found["command"] == "python -m benchmarks step --cases 'a case'"
    assert found["machine"]["versions"]["torch"]
    assert len(found["comparisons"][0]["ours"]) == 4
    text = (tmp_path / "step.md").read_text()
    assert found["command"] in text
    assert table([slowing_down()]) in text
