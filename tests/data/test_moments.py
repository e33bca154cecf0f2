"""Moments of numbers against NumPy, and where they lie far from 0."""

import numpy as np
import pytest

from jlrun.data.moments import moments


@pytest.mark.parametrize("shift", [0.0, 2015.0, 1.7e9, -1e12])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_of_parts(shift: float, scale: float) -> None:
    z = np.random.default_rng(0).normal(size=(3, 50))
    x = shift + scale * z
    found = moments(list(x))
    assert found.mean == pytest.approx(shift + scale * z.mean(), rel=1e-12)
    spread = (x - shift).std()
    assert found.std == pytest.approx(spread, rel=1e-9)
    assert not found.lost or scale < 1e3 * np.spacing(abs(shift))


def test_seconds_within_an_hour_have_their_spread() -> None:
    x = np.round(1.7e9 + np.linspace(-1800, 1800, 1001))
    assert moments([x]).std == pytest.approx(1040, rel=1e-3)


@pytest.mark.parametrize("value", [0.1, 1e6, 1.7e9 + 0.3])
def test_equal_numbers_have_none(value: float) -> None:
    found = moments([np.full(7, value), np.full(3, value)])
    assert (found.mean, found.std, found.lost) == (value, 1.0, False)


def test_what_rounding_leaves_of_equal_numbers_is_no_spread() -> None:
    assert moments([np.array([0.3, 0.1 + 0.2])]).std == 1.0


def test_a_spread_that_float64_loses_is_told() -> None:
    far = 1e17 + np.arange(5.0)
    assert moments([far]).lost
    assert moments([np.full(3, 1e17)]).lost


def test_missing_numbers_do_not_count() -> None:
    found = moments([np.array([np.nan, 1.0]), np.array([np.nan]), np.array([3.0])])
    assert (found.mean, found.std) == (2.0, 1.0)
    assert moments([np.array([np.nan])]) == moments([])
