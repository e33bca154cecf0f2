"""Bootstrap over test rows against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from jlrun.evaluation.bootstrap import critical, interval, kind_of, resampled, standard_error
from jlrun.evaluation.score_scales import scale_of_score
from jlrun.evaluation.weighted_scores import RowPredictions
from jlrun.tasks import Binary, Regression

N = 400


def decisions(right: np.ndarray) -> RowPredictions:
    p = torch.tensor(np.where(right, 0.9, 0.1))
    return RowPredictions(torch.stack([1 - p, p], dim=1), torch.ones(len(right), dtype=torch.long))


def test_the_error_of_an_accuracy_is_binomial() -> None:
    right = np.arange(N) < 300
    values = resampled(Binary(), decisions(right), seed=0)["accuracy"]
    assert standard_error(values, N) == pytest.approx((0.75 * 0.25 / (N - 1)) ** 0.5, rel=0.1)
    ends = interval("accuracy", 0.75, values, N)
    assert ends is not None
    assert ends == pytest.approx((0.7053, 0.7900), abs=0.005)  # of the logit ± 1.97 errors


def test_differences_are_paired_over_the_rows() -> None:
    """Models that are wrong on the same rows, but for four: McNemar's error, not the binomial."""
    ours, theirs = np.arange(N) < 302, (np.arange(N) < 300) | (np.arange(N) == 399)
    a, b = (resampled(Binary(), decisions(x), seed=0)["accuracy"] for x in (ours, theirs))
    d = ours.astype(float) - theirs
    assert standard_error(a - b, N) == pytest.approx(d.std(ddof=1) / N**0.5, rel=0.1)


def test_resamples_depend_on_the_seed_alone() -> None:
    rows = RowPredictions(torch.randn(30, 1).double(), torch.randn(30).double())
    first, again, other = (resampled(Regression(), rows, seed)["r2"] for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


def test_a_score_that_resamples_seldom_define_has_no_interval() -> None:
    rows = decisions(np.arange(20) < 10)
    values = resampled(Binary(), rows, seed=0)["auroc"]  # one class alone
    assert interval("auroc", 0.5, values, 20) is None
    assert standard_error(values, 20) is None


def test_more_tasks_need_a_larger_difference() -> None:
    assert critical(10_001) == pytest.approx(1.96, abs=0.001)
    assert critical(10_001, tests=5) == pytest.approx(2.576, abs=0.001)
    assert critical(20) == pytest.approx(2.093, abs=0.001)


@pytest.mark.parametrize(
    ("percent", "error", "kind"),
    [(0.04, None, "same"), (-3, None, "lost"), (3, 2, "noise"), (-5, 2, "lost"), (5, 2, "won")],
)
def test_kinds_of_gains(percent: float, error: float | None, kind: str) -> None:
    assert kind_of(percent, error) == kind


def test_rows_that_are_all_right_leave_some_doubt() -> None:
    """The interval of Clopper and Pearson, which SciPy has too."""
    values = np.ones(100)
    exact = stats.binomtest(40, 40).proportion_ci(0.95)
    assert interval("accuracy", 1.0, values, 40) == pytest.approx((exact.low, 1))
    assert interval("accuracy", 0.0, 0 * values, 40) == pytest.approx((0, 1 - exact.low))
    assert interval("mae", 0.0, 0 * values, 40) is None


@pytest.mark.parametrize(
    ("metric", "score"), [("mae", 0.1), ("r2", -0.4), ("spearman", 0.9), ("miou", 0.97)]
)
def test_an_interval_stays_in_the_range_of_its_score(metric: str, score: float) -> None:
    values = score + 0.2 * np.linspace(-1, 1, 100)
    ends, scale = interval(metric, score, values, 10), scale_of_score(metric)
    assert ends is not None
    assert scale.low < ends[0] < score < ends[1] < scale.high
    for x in (score, *ends):
        assert scale.back(scale.to(x)) == pytest.approx(x)
    step = 1e-6
    slope = (scale.to(score + step) - scale.to(score - step)) / (2 * step)
    assert scale.slope(score) == pytest.approx(slope)
