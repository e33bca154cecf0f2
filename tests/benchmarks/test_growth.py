"""Exponents are those of power laws; sizes are what they say."""

from __future__ import annotations

import pytest
import torch

from benchmarks.alternation import Sample
from benchmarks.growth import CASES, Exponent, Growth, Size, made, tables
from benchmarks.memory import peak_of
from jlrun.engine import session


def test_a_power_law_has_its_exponent() -> None:
    sizes = [1.0, 2.0, 4.0, 8.0]
    found = Exponent.of(sizes, [3 * size**1.5 for size in sizes])
    assert found.value == pytest.approx(1.5)
    assert found.error == pytest.approx(0, abs=1e-6)


def test_error_is_that_of_least_squares() -> None:
    statistics = pytest.importorskip("scipy.stats")
    sizes, values = [1.0, 3.0, 5.0, 9.0, 20.0], [2.0, 5.0, 9.0, 11.0, 40.0]
    known = statistics.linregress(torch.tensor(sizes).log(), torch.tensor(values).log())
    found = Exponent.of(sizes, values)
    assert (found.value, found.error) == pytest.approx((known.slope, known.stderr), rel=1e-5)


def test_table_has_both_ends_and_exponents() -> None:
    samples = [[Sample(size / 1000, size / 500)] * 3 for size in (1, 2, 4)]
    grown = Growth("tasks", "step", [1, 2, 4], samples, [2**20, 2**20, 2**20])
    line = tables([grown]).splitlines()[-1]
    assert "| 1 to 4 | 1.00 to 4.00 ms a step | 1.00 ± 0.00 | 1.00 ± 0.00 |" in line
    assert "| 1.0 to 1.0 | 0.00 ± 0.00 |" in line


@pytest.mark.parametrize("name", CASES)
def test_sizes_can_be_trained(name: str) -> None:
    size = CASES[name][1] if name != "rows" else Size(rows=100)
    with session(threads=1, deterministic=True):
        made(size, 10).steps(10)


def test_peak_is_of_what_the_work_takes() -> None:
    found = peak_of(lambda: torch.ones(2**24))
    assert 2**26 <= found.added < 2**26 + 2**24
    assert found.total > found.added
