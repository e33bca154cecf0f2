"""Random loss weighting."""

from __future__ import annotations

import math

import pytest
import torch

from jlrun.objective.weightings import Random
from jlrun.objective.weightings.random import Distribution
from tests.objective.weightings.task_losses import gradient, task_losses

DISTRIBUTIONS: tuple[Distribution, ...] = ("normal", "uniform", "dirichlet")


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_weights_are_new_in_each_step_and_sum_to_the_active_tasks(
    distribution: Distribution,
) -> None:
    torch.manual_seed(0)
    weighting = Random(("a", "b", "c"), distribution)
    losses = task_losses([1.0, 2.0, 3.0], [True, False, True])
    first, second = gradient(weighting, losses), gradient(weighting, losses)
    assert first[1] == second[1] == 0
    assert not torch.allclose(first, second)
    assert float(first.sum()) == pytest.approx(2.0)


def test_normal_weights_are_the_softmax_of_the_generators_draws() -> None:
    torch.manual_seed(4)
    expected = 3 * torch.randn(3).softmax(dim=0)
    torch.manual_seed(4)
    weighting = Random(("a", "b", "c"))
    weighting(task_losses([1.0, 1.0, 1.0]))
    torch.testing.assert_close(weighting.last_weights, expected.double())


# Var of a coordinate uniform on the simplex of T = 3: (T − 1) / (T² (T + 1)) = 1/18, times T².
# For the softmax of uniform draws the spread was taken from 10⁶ draws with NumPy.
@pytest.mark.parametrize(
    ("distribution", "deviation"), [("dirichlet", math.sqrt(0.5)), ("uniform", 0.2318)]
)
def test_the_spread_of_the_weights(distribution: Distribution, deviation: float) -> None:
    torch.manual_seed(1)
    weighting = Random(("a", "b", "c"), distribution)
    losses = task_losses([1.0, 1.0, 1.0])
    weights = []
    for _ in range(4000):
        weighting(losses)
        weights.append(weighting.last_weights)
    drawn = torch.stack(weights)
    torch.testing.assert_close(drawn.mean(dim=0), torch.ones(3).double(), atol=0.04, rtol=0)
    assert drawn.std(dim=0).tolist() == pytest.approx([deviation] * 3, rel=0.05)


def test_a_task_without_labels_takes_no_draw_from_the_others() -> None:
    torch.manual_seed(2)
    part = gradient(Random(("a", "b", "c")), task_losses([1.0, 0.0, 3.0], [True, False, True]))
    torch.manual_seed(2)
    pair = gradient(Random(("a", "c")), task_losses([1.0, 3.0]))
    torch.testing.assert_close(part[[0, 2]], pair)
