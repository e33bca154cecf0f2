"""MoDo against TorchJD."""

from functools import partial

import pytest
import torch

from jlrun.objective.weightings import MoDo
from tests.objective.weightings.gradient_steps import (
    assert_goes_on_after_a_round_trip,
    assert_inactive_is_absent,
    random_jacobians,
    step,
)


@pytest.mark.parametrize(("gamma", "rho"), [(1e-3, 0.1), (0.1, 0.0), (1.0, 0.5)])
def test_it_agrees_with_torchjd(gamma: float, rho: float) -> None:
    from torchjd.aggregation import MoDoWeighting

    oracle = MoDoWeighting(gamma=gamma, rho=rho)
    weighting = MoDo(tuple("abcd"), gamma=gamma, rho=rho).double()
    for seed in range(20):
        first, second = random_jacobians(2, shape=(4, 6), seed=seed)
        expected = oracle(first @ second.T)
        update = weighting(step(first, second))
        torch.testing.assert_close(weighting.last_weights, expected)
        torch.testing.assert_close(update, expected @ (first + second) / 2)


def test_of_equal_samples_it_ends_at_the_min_norm_point() -> None:
    """Of orthogonal rows the least ‖Jᵀλ‖² on the simplex is at λ ∝ 1/‖g_i‖²."""
    jacobian = torch.tensor([[1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    weighting = MoDo(("a", "b"), gamma=0.1, rho=0.0).double()
    for _ in range(200):
        weighting(step(jacobian, jacobian))
    torch.testing.assert_close(
        weighting.last_weights, torch.tensor([0.8, 0.2], dtype=torch.float64)
    )


@pytest.mark.parametrize("scale", [0.0, 1e-12, 1e12])
def test_any_scale_stays_on_the_simplex(scale: float) -> None:
    first, second = random_jacobians(2)
    weighting = MoDo(("a", "b", "c"))
    assert torch.isfinite(weighting(step(scale * first, -scale * second))).all()
    torch.testing.assert_close(float(weighting.last_weights.sum()), 1.0)


def test_inactive_tasks_and_resume() -> None:
    make = partial(MoDo, gamma=0.1)
    steps = [step(*random_jacobians(2, seed=seed)) for seed in range(6)]
    assert_inactive_is_absent(make, steps)
    assert_goes_on_after_a_round_trip(make, steps)
