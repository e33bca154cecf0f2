"""How strengths grow."""

from __future__ import annotations

import math
from typing import get_args

import pytest

from jlrun.objective.ramps import Constant, Cosine, Linear, RampName, Sigmoid, ramp

NAMES = get_args(RampName)


def test_every_name_is_a_ramp_that_never_falls() -> None:
    assert set(NAMES) == {"constant", "linear", "cosine", "sigmoid"}
    for name in NAMES:
        values = [ramp(name)(i / 100) for i in range(101)]
        assert values == sorted(values)
        assert all(0 <= value <= 1 for value in values)


@pytest.mark.parametrize(("name", "start"), [("constant", 1), ("linear", 0), ("cosine", 0)])
def test_ends_at_one(name: RampName, start: int) -> None:
    assert ramp(name)(0.0) == start
    assert ramp(name)(1.0) == pytest.approx(1)


@pytest.mark.parametrize(
    # By hand: tanh(k p / 2) is another form of 2 / (1 + e^(−kp)) − 1.
    ("p", "value"),
    [(0.0, 0.0), (0.1, math.tanh(0.5)), (0.5, math.tanh(2.5)), (1.0, math.tanh(5.0))],
)
def test_sigmoid_is_that_of_dann(p: float, value: float) -> None:
    assert ramp("sigmoid")(p) == pytest.approx(value)


def test_steepness() -> None:
    assert Sigmoid(4.0)(0.25) == pytest.approx(math.tanh(0.5))


def test_between_any_two_values() -> None:
    assert Linear(2.0, 4.0)(0.25) == pytest.approx(2.5)
    assert Cosine(2.0, 4.0)(0.5) == pytest.approx(3)
    # A quarter of the way: 2 + 2 (1 − cos(π/4)) / 2.
    assert Cosine(2.0, 4.0)(0.25) == pytest.approx(3 - math.sqrt(0.5))
    assert Constant(0.3)(0.9) == 0.3


def test_ramps_are_values() -> None:
    assert Linear(0.0, 2.0) == Linear(end=2.0)
    assert ramp("linear") == Linear()
