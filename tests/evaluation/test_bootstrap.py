"""Bootstrap over test rows against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from jlrun.evaluation.bootstrap import critical, interval, kind_of, resampled, standard_error
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
    ends = interval(values, N)
    assert ends is not None
    assert ends == pytest.approx((0.7075, 0.7925), abs=0.008)  # ± 1.96 errors


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
    assert interval(values, 20) is None
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
