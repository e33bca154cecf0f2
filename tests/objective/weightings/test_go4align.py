"""GO4Align against its formula, step by step."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from jlrun.objective.weightings import GO4Align
from jlrun.objective.weightings.go4align import scalar_kmeans
from tests.objective.weightings.task_losses import gradient, task_losses

TASKS = ("a", "b", "c", "d")


def indicators_as_published(steps: torch.Tensor, beta: float) -> torch.Tensor:
    """q ← q exp(−β L) / Σ in every step, times Σ L / L of the last one."""
    q = torch.full((steps.shape[1],), 1 / steps.shape[1], dtype=torch.float64)
    for losses in steps:
        q = q * torch.exp(-beta * losses)
        q = q / q.sum()
    return q * steps[-1].sum() / steps[-1]


@pytest.mark.parametrize("beta", [0.0, 1e-4, 0.3])
def test_with_a_group_for_each_task_weights_are_the_indicators(beta: float) -> None:
    generator = torch.Generator().manual_seed(0)
    steps = torch.rand(20, 4, generator=generator, dtype=torch.float64) * 3 + 0.1
    weighting = GO4Align(TASKS, num_groups=4, step_size=beta).double()
    for number, losses in enumerate(steps, start=1):
        found = gradient(weighting, task_losses(losses.tolist()))
        torch.testing.assert_close(found, indicators_as_published(steps[:number], beta))


def test_a_group_shares_the_mean_of_its_indicators() -> None:
    # β = 0: γ_i = Σ L / (T L_i) = 4.6 / 4 / L_i
    found = gradient(GO4Align(TASKS, step_size=0.0), task_losses([2.0, 0.5, 1.6, 0.5]))
    slow, fast = 1.15 * (1 / 2.0 + 1 / 1.6) / 2, 1.15 / 0.5
    assert found.tolist() == pytest.approx([slow, fast, slow, fast], rel=1e-6)


def test_one_group_has_the_mean_of_all() -> None:
    found = gradient(
        GO4Align(TASKS, num_groups=1, step_size=0.0), task_losses([1.0, 1.0, 1.0, 4.0])
    )
    assert found.tolist() == pytest.approx([7 / 4 * 3.25 / 4] * 4, rel=1e-6)


def test_a_task_with_larger_losses_so_far_has_less_weight() -> None:
    weighting = GO4Align(("a", "b"), step_size=0.1).double()
    gradient(weighting, task_losses([5.0, 1.0]))
    found = gradient(weighting, task_losses([1.0, 1.0]))
    assert found[0] < found[1]


def test_a_task_without_labels_takes_no_part_and_keeps_its_risk() -> None:
    three = GO4Align(("a", "b", "c"), step_size=0.1).double()
    pair = GO4Align(("a", "c"), step_size=0.1).double()
    for a, c in ((1.0, 4.0), (2.0, 1.0)):
        found = gradient(three, task_losses([a, 0.0, c], [True, False, True]))
        torch.testing.assert_close(found[[0, 2]], gradient(pair, task_losses([a, c])))
        assert found[1] == 0
    assert three.risk[1] == 0


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
