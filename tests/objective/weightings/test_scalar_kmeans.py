"""Exact k-means of scalars against a search through all groupings."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from jlrun.objective.weightings.go4align import scalar_kmeans


def least_error(values: np.ndarray, num_groups: int) -> float:
    """The least squared error over all assignments of values to groups."""
    best = np.inf
    for labels in product(range(num_groups), repeat=len(values)):
        groups = [values[np.equal(labels, k)] for k in range(num_groups)]
        best = min(best, sum(float(((g - g.mean()) ** 2).sum()) for g in groups if len(g)))
    return best


@pytest.mark.parametrize("num_groups", [1, 2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_no_grouping_has_a_smaller_error(num_groups: int, seed: int) -> None:
    values = np.random.default_rng(seed).lognormal(sigma=2.0, size=6)
    means = scalar_kmeans(values, num_groups)
    assert len(np.unique(means)) == num_groups
    for mean in np.unique(means):
        assert values[means == mean].mean() == pytest.approx(mean)
    error = float(((values - means) ** 2).sum())
    assert error == pytest.approx(least_error(values, num_groups), rel=1e-9)


def test_badly_scaled_values_keep_their_groups() -> None:
    values = np.array([1e12, 1.0, 2.0, 50.0, 52.0])
    assert scalar_kmeans(values, 3).tolist() == [1e12, 1.5, 1.5, 51.0, 51.0]


def test_equal_values_and_more_groups_than_values() -> None:
    assert scalar_kmeans(np.full(4, 0.3), 2).tolist() == pytest.approx([0.3] * 4)
    assert scalar_kmeans(np.array([3.0, 1.0]), 5).tolist() == [3.0, 1.0]


def test_groups_do_not_depend_on_the_order() -> None:
    values = np.random.default_rng(9).normal(size=8)
    order = np.random.default_rng(1).permutation(8)
    np.testing.assert_allclose(scalar_kmeans(values[order], 3), scalar_kmeans(values, 3)[order])
