"""Bytes that ranks move in a step are those of the model of the benchmark."""

from __future__ import annotations

import pytest

from benchmarks import ranks
from benchmarks.traffic import Shape
from tests.ranks.processes import SIZES, Processes

ROUTES = [
    ("equal", None),
    ("famo", None),
    ("pcgrad", "features"),
    ("pcgrad", "parameters"),
    ("moco", "parameters"),
]


@pytest.mark.parametrize(("name", "source"), ROUTES)
@pytest.mark.parametrize("size", SIZES)
def test_bytes_of_a_step(processes: Processes, size: int, name: str, source: str | None) -> None:
    found = processes.run(size, ranks.moved, name, source, 5)
    for each in found:
        assert each.ratio == pytest.approx(1, abs=0.05)


def test_bytes_of_losses_do_not_depend_on_the_number_of_tasks() -> None:
    few, many = (Shape(tasks, 10**6, 10**6, 64, 32).sent(None, 8) for tasks in (2, 40))
    assert many == pytest.approx(few, rel=1e-4)
    # A ring sends each gradient nearly twice.
    assert few == pytest.approx(2 * 7 / 8 * 4e6, rel=1e-4)


def test_features_are_cheaper_until_there_are_many_rows() -> None:
    def cheaper(ranks: int) -> bool:
        shape = Shape(10, 10**6, 10**6, 1000, 100 * ranks)
        return shape.sent("features", ranks) < shape.sent("parameters", ranks)

    # B D < 2 N (T - 1) / T, with B = 100 W.
    assert cheaper(17)
    assert not cheaper(19)
