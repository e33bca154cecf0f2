"""ExcessMTL against TorchJD, and the exponentiated gradient by hand."""

import math

import pytest
import torch

from jlrun.objective.weightings import ExcessMTL
from tests.objective.weightings.gradient_steps import (
    assert_goes_on_after_a_round_trip,
    assert_inactive_is_absent,
    random_jacobians,
    step,
)


def test_it_agrees_with_torchjd_from_the_second_step() -> None:
    """TorchJD's weights sum to 1, and its first step already moves them, by the raw risks."""
    from torchjd.aggregation import ExcessMTLWeighting

    oracle = ExcessMTLWeighting(robust_step_size=0.1)
    weighting = ExcessMTL(("a", "b", "c"), eta=0.1).double()
    first, *others = random_jacobians(5)
    weighting(step(first))
    assert weighting.last_weights.tolist() == [1.0, 1.0, 1.0]
    oracle(first)
    oracle._weights = torch.full((3,), 1 / 3, dtype=torch.float64)
    for jacobian in others:
        update = weighting(step(jacobian))
        expected = 3 * oracle(jacobian)
        # its ratio has 1e-7 under it, ours has not
        torch.testing.assert_close(weighting.last_weights, expected, rtol=1e-6, atol=0)
        torch.testing.assert_close(update, weighting.last_weights @ jacobian)


def test_two_steps_by_hand() -> None:
    """g = 2 twice: e = 4/2 = 2, then 4/√8 = √2, so relative 1/√2; g = 1 then 3: 1, then 9/√10."""
    weighting = ExcessMTL(("a", "b"), eta=0.5).double()
    weighting(step(torch.tensor([[2.0], [1.0]], dtype=torch.float64)))
    weighting(step(torch.tensor([[2.0], [3.0]], dtype=torch.float64)))
    a, b = math.exp(0.5 / math.sqrt(2)), math.exp(0.5 * 9 / math.sqrt(10))
    expected = torch.tensor([2 * a / (a + b), 2 * b / (a + b)], dtype=torch.float64)
    torch.testing.assert_close(weighting.last_weights, expected, rtol=1e-6, atol=0)


def test_weights_that_became_tiny_come_back() -> None:
    """They are kept as logarithms: 1e-60 is no 0 in float32."""
    weighting = ExcessMTL(("a", "b"), eta=50.0)
    weighting(step(torch.tensor([[1.0], [1.0]])))
    for _ in range(8):
        weighting(step(torch.tensor([[0.0], [3.0]])))
    assert weighting.last_weights[0] < 1e-30
    for _ in range(40):
        weighting(step(torch.tensor([[9.0], [0.0]])))
    assert weighting.last_weights[0] > 1.9


def test_an_inactive_task_keeps_its_weight_and_the_sum_stays() -> None:
    weighting = ExcessMTL(("a", "b", "c"), eta=1.0).double()
    for jacobian in random_jacobians(3):
        weighting(step(jacobian))
    before = weighting.last_weights.clone()
    masked = random_jacobians(4)[-1] * torch.tensor([[1.0], [0.0], [1.0]])
    weighting(step(masked, active=[True, False, True]))
    after = weighting.last_weights
    assert after[1] == before[1]
    assert after[0] != before[0]
    assert float(after.sum()) == pytest.approx(3)


def test_zero_gradients_and_no_active_task() -> None:
    weighting = ExcessMTL(("a", "b"))
    for jacobian in (torch.zeros(2, 3), torch.eye(2, 3), torch.zeros(2, 3), torch.eye(2, 3)):
        assert torch.isfinite(weighting(step(jacobian))).all()
    assert weighting(step(torch.zeros(2, 3), active=[False, False])).tolist() == [0.0] * 3
    torch.testing.assert_close(weighting.last_weights, torch.ones(2))


def test_inactive_tasks_and_resume() -> None:
    steps = [step(j) for j in random_jacobians(6)]
    assert_inactive_is_absent(ExcessMTL, steps)
    assert_goes_on_after_a_round_trip(ExcessMTL, steps)
