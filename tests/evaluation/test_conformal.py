"""Conformal intervals: ranks by hand, coverage on simulated data, scales and quantiles."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from jlrun.evaluation.conformal import Interval, fewest
from jlrun.evaluation.weighted_scores import RowPredictions
from jlrun.tasks import Regression
from jlrun.tasks.loss_options import NumberLoss

QUANTILE = Regression(loss=NumberLoss(kind="quantile", quantile=0.9))
LOGARITHMIC = Regression().in_units(0.0, 1.0, 1.0)


def rows(predicted: Tensor, target: Tensor) -> RowPredictions:
    return RowPredictions(predicted[:, None], target)


def test_the_rank_that_the_level_asks_for() -> None:
    """Of residuals ±1 … ±19, ⌈20 · 0.9⌉ = 18: ±18; between the 1st and the 19th of a quantile."""
    signs = torch.tensor([1.0, -1.0]).repeat(10)[:19]
    residuals = torch.arange(1.0, 20.0) * signs
    central = Interval.of(Regression(), rows(torch.zeros(19), residuals), level=0.9)
    assert central is not None
    assert (central.below, central.above) == (-18, 18)
    of_quantile = Interval.of(QUANTILE, rows(torch.zeros(19), residuals), level=0.9)
    assert of_quantile is not None
    assert (of_quantile.below, of_quantile.above) == (-18, 19)


@pytest.mark.parametrize(
    ("task", "level", "count"), [(Regression(), 0.95, 19), (QUANTILE, 0.95, 39)]
)
def test_fewer_rows_have_no_interval(task: Regression, level: float, count: int) -> None:
    assert fewest(task, level) == count
    enough, few = torch.randn(count), torch.randn(count - 1)
    assert Interval.of(task, rows(torch.zeros(count), enough), level) is not None
    assert Interval.of(task, rows(torch.zeros(count - 1), few), level) is None


@pytest.mark.parametrize("task", [Regression(), QUANTILE, LOGARITHMIC])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_coverage_of_simulated_data(task: Regression, level: float) -> None:
    """Exact for exchangeable rows: between the level and level + 2 / (n + 1), averaged."""
    torch.manual_seed(0)
    found = []
    for _ in range(300):
        x = torch.rand(99 + 400, dtype=torch.float64) * 3
        y = x.exp() * (0.5 * torch.randn_like(x)).exp()  # skewed, spread grows with x
        predicted = 1.3 * x.exp()  # biased, as a model is
        interval = Interval.of(task, rows(predicted[:99], y[:99]), level)
        assert interval is not None
        found.append(interval.coverage(predicted[99:], y[99:]))
    error = torch.tensor(found).std().item() / len(found) ** 0.5
    assert level - 4 * error <= sum(found) / len(found) <= level + 2 / 100 + 4 * error


def test_intervals_of_a_logarithm_grow_with_the_prediction() -> None:
    """The largest residual is ln (1 + 8) − ln (1 + 4): 1 + y is within a factor of 9 / 5."""
    y = torch.tensor([2.0, 8.0]).repeat(10)
    interval = Interval.of(LOGARITHMIC, rows(torch.full((20,), 4.0), y), level=0.9)
    assert interval is not None
    lower, upper = interval.around(torch.tensor([4.0, 99.0]))
    assert (1 + lower).tolist() == pytest.approx([5 / 1.8, 100 / 1.8])
    assert (1 + upper).tolist() == pytest.approx([5 * 1.8, 100 * 1.8])
