"""Numbers that SciPy has, too; importing it takes longer than what a run does with them."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pytest
from scipy.optimize import minimize_scalar
from scipy.special import stdtrit

from jlrun.evaluation.minimum import minimize_bounded
from jlrun.evaluation.student import two_sided


@pytest.mark.parametrize("n", [1, 2, 3, 10, 57, 358, 10_000, 10_000_000])
@pytest.mark.parametrize("share", [0.3, 0.05, 0.05 / 12, 0.05 / 40])
def test_quantiles_of_t(n: int, share: float) -> None:
    assert two_sided(n, share) == pytest.approx(-stdtrit(n, share / 2), rel=1e-11)


def test_quantiles_of_one_and_two_degrees_of_freedom_in_closed_form() -> None:
    assert two_sided(1, 0.5) == pytest.approx(1.0, rel=1e-14)  # a quarter of the circle
    assert two_sided(2, 0.05) == pytest.approx(0.95 * math.sqrt(2 / (1 - 0.95**2)), rel=1e-13)


@pytest.mark.parametrize("at", [-5.0, -2.9, -0.4, 0.0, 1.7, 4.0])
@pytest.mark.parametrize("power", [1.1, 2.0, 3.5])
def test_the_minimum_is_that_of_scipy_to_the_bit(at: float, power: float) -> None:
    def f(x: float) -> float:
        return abs(x - at) ** power + 0.1 * math.exp(-x)

    expected: Any = minimize_scalar(f, bounds=(-3.0, 3.0), method="bounded")
    assert minimize_bounded(f, -3.0, 3.0) == (expected.x, expected.fun)


def test_a_constant_function_has_its_minimum_anywhere() -> None:
    x, value = minimize_bounded(lambda _: 1.0, -3.0, 3.0)
    assert -3 <= x <= 3
    assert value == 1.0


def test_scores_need_no_scipy() -> None:
    program = (
        "import sys, jlrun.evaluation.bootstrap as b, jlrun.evaluation.temperature\n"
        "b.critical(20)\n"
        "assert not any(name.split('.')[0] == 'scipy' for name in sys.modules), 'scipy'"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
