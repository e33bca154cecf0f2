"""Scales of regression targets: to them, and back."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import rankdata, skew

from jlrun.tasks import Regression
from jlrun.tasks.target_scales import from_scale, scale_of, skewness, to_scale

PRICES = torch.from_numpy(np.random.default_rng(0).lognormal(12, 1.5, size=500))
EVEN = torch.from_numpy(np.random.default_rng(1).normal(size=500))


def test_the_logarithm_is_in_units_of_the_median() -> None:
    scale = scale_of(PRICES, "log")
    assert scale == (PRICES.median().item(),)
    values = torch.tensor([0.0, scale[0], -scale[0]], dtype=torch.float64)
    assert to_scale(values, scale).tolist() == pytest.approx([0.0, math.log(2), -math.log(2)])


def test_quantiles_are_normal_scores() -> None:
    """Of as many knots as values: Φ⁻¹ ((rank − ½) / N)."""
    values = PRICES[:101]
    shares = (torch.from_numpy(rankdata(values.numpy())) - 0.5) / 101
    found = to_scale(values, scale_of(values, "quantile"))
    torch.testing.assert_close(found, torch.special.ndtri(shares))


@pytest.mark.parametrize("name", ["none", "log", "quantile"])
def test_the_way_back_is_exact(name: str) -> None:
    values = torch.cat([PRICES, -PRICES, PRICES.max()[None] * 3, torch.zeros(1).double()])
    scale = scale_of(PRICES, name)  # pyright: ignore[reportArgumentType]
    torch.testing.assert_close(from_scale(to_scale(values, scale), scale), values)


def test_auto_takes_the_logarithm_of_very_skewed_targets_alone() -> None:
    assert len(scale_of(PRICES, "auto")) == 1
    assert scale_of(EVEN, "auto") == scale_of(EVEN + 10, "auto") == ()
    assert scale_of(PRICES - PRICES.median(), "auto") == ()  # negative ones
    assert scale_of(torch.ones(9).double(), "quantile") == ()
    assert skewness(PRICES) == pytest.approx(skew(PRICES.numpy()))


def test_a_task_learns_on_the_scale_and_predicts_in_its_units() -> None:
    scale = scale_of(PRICES, "log")
    y = to_scale(PRICES, scale)
    task = Regression().in_units(float(y.mean()), float(y.std()), *scale)
    right = ((y - y.mean()) / y.std())[:, None]
    assert task.loss(right, PRICES).max() < 1e-20
    torch.testing.assert_close(task.decide(task.probabilities(right)), PRICES)
    assert task.loss(right + 1, PRICES).tolist() == pytest.approx([1.0] * len(PRICES))


def test_far_outputs_stay_finite() -> None:
    task = Regression().in_units(0.0, 1.0, 1.0)
    assert task.probabilities(torch.tensor([[1e4], [-1e4]])).isfinite().all()
