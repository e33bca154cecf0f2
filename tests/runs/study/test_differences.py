"""Differences between arms: their errors, and what is said of them."""

import numpy as np
import pytest
import torch

from jlrun.evaluation.weighted_scores import RowPredictions
from jlrun.runs.study.differences import Difference, Pair, calls, difference
from jlrun.runs.study.evidence import Predicted
from jlrun.tasks import Regression

NAMES = ("one", "other")


def _predicted(errors, places):
    """Return predictions of a target of 0 with these errors."""
    rows = RowPredictions(torch.as_tensor(errors).double()[:, None], torch.zeros(len(errors)))
    return Predicted(rows, places)


def _difference(ours, theirs, places):
    pairs = [
        Pair(_predicted(a, p), _predicted(b, p))
        for a, b, p in zip(ours, theirs, places, strict=True)
    ]
    return difference(NAMES, "y", Regression(metric="mae"), pairs, seed=0)


def test_the_error_has_a_part_of_the_rows_and_one_of_the_seeds():
    generator = np.random.default_rng(0)
    n, seeds = 400, 3
    places = [np.arange(n)] * seeds  # the same test rows with each seed
    row = generator.normal(0, 1, n)
    shift = [0.0, 0.1, -0.1]
    ours = [5 + row + s for s in shift]
    theirs = [np.full(n, 5.0)] * seeds
    found = _difference(ours, theirs, places)
    assert found is not None
    each = [-(row.mean() + s) for s in shift]
    assert found.mean == pytest.approx(np.mean(each))
    variance = row.var(ddof=1) / n + np.var(each, ddof=1) / seeds
    assert found.error == pytest.approx(np.sqrt(variance), rel=0.05)


def test_test_rows_that_seeds_share_do_not_count_twice():
    generator = np.random.default_rng(1)
    n = 300
    shared = generator.normal(0, 1, n)
    other = [generator.normal(0, 1, n) for _ in range(3)]
    flat = [np.full(n, 5.0)] * 3
    same = _difference([5 + shared] * 3, flat, [np.arange(n)] * 3)
    apart = _difference([5 + x for x in other], flat, [np.arange(n) + i * n for i in range(3)])
    assert same is not None
    assert apart is not None
    assert same.error == pytest.approx(shared.std(ddof=1) / np.sqrt(n), rel=0.06)
    assert apart.error < 0.85 * same.error  # 1/√3 of it, and the spread of three means


def test_one_seed_has_no_error():
    found = _difference([np.ones(9)], [np.zeros(9)], [np.arange(9)])
    assert found is not None
    assert found.error is None
    assert calls([found]) == ["one seed"]


def test_noise_is_called_so():
    """Of 150 differences of noise, at most one in twenty seems real before correction."""
    generator = np.random.default_rng(2)
    count, n = 150, 60
    p_values = []
    for _ in range(count):
        base = generator.normal(0, 1, 300)
        places = [generator.choice(300, n, replace=False) for _ in range(3)]
        ours = [5 + base[p] + generator.normal(0, 1, n) for p in places]
        theirs = [5 + base[p] + generator.normal(0, 1, n) for p in places]
        found = _difference(ours, theirs, places)
        assert found is not None
        p_values.append(found.p_value)
    assert np.mean(np.array(p_values) < 0.05) <= 0.05


def _of(mean, error):
    return Difference("one", "other", "y", 3, mean, error, 50.0, 1.0, 1.0)


def test_many_comparisons_need_more_than_one():
    """By hand: of ten, the one of p 0.03 is not called, alone it is."""
    almost, nothing = _of(2.25, 1.0), [_of(0.5, 1.0)] * 9
    assert calls([almost]) == ["better"]
    assert calls([almost, *nothing]) == ["no difference"] * 10
    assert calls([_of(-6.0, 1.0), *nothing])[0] == "worse"


def test_equal_models_make_no_difference():
    same = [np.arange(9.0)] * 2
    found = _difference(same, same, [np.arange(9)] * 2)
    assert found is not None
    assert found.p_value == 1.0
    assert calls([found]) == ["no difference"]
