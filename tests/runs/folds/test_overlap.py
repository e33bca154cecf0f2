"""Errors of means over folds: Nadeau and Bengio's correction."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from jlrun.runs.folds.overlap import interval, standard_error

SCORES = (0.81, 0.78, 0.84, 0.80, 0.77)


def test_the_closed_form() -> None:
    variance = np.var(SCORES, ddof=1)
    assert standard_error(SCORES, ratio=0) == pytest.approx(stats.sem(SCORES))
    assert standard_error(SCORES, ratio=0.25) == pytest.approx(math.sqrt((1 / 5 + 0.25) * variance))
    low, high = interval(SCORES, ratio=0)
    expected = stats.t.interval(0.95, 4, np.mean(SCORES), stats.sem(SCORES))
    assert (low, high) == pytest.approx(expected)


def test_coverage_where_scores_of_folds_are_as_correlated_as_assumed() -> None:
    """With correlation ρ / (1 + ρ), the variance of a mean is (1/J + ρ) of what S² estimates."""
    generator = np.random.default_rng(0)
    folds, ratio = 10, 1 / 9
    shared = math.sqrt(ratio) * generator.normal(size=(2000, 1))
    scores = shared + generator.normal(size=(2000, folds))
    ends = [interval(row.tolist(), ratio) for row in scores]
    assert 0.93 < np.mean([low <= 0 <= high for low, high in ends]) < 0.97
    naive = [interval(row.tolist(), 0.0) for row in scores]
    assert np.mean([low <= 0 <= high for low, high in naive]) < 0.87
