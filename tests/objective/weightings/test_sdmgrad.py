"""SDMGrad against TorchJD."""

import pytest
import torch

from jlrun.objective.weightings import SDMGrad
from tests.objective.weightings.gradient_steps import (
    assert_goes_on_after_a_round_trip,
    assert_inactive_is_absent,
    random_jacobians,
    step,
)


@pytest.mark.parametrize("tasks", ["ab", "abc", "abcd"])
@pytest.mark.parametrize("lamda", [0.0, 0.3, 2.0])
def test_it_agrees_with_torchjd(tasks: str, lamda: float) -> None:
    from torchjd.aggregation import SDMGradWeighting

    oracle = SDMGradWeighting(lr=5.0, lambda_=lamda)
    weighting = SDMGrad(tuple(tasks), lamda=lamda).double()
    for seed in range(10):
        first, second, third = random_jacobians(3, shape=(len(tasks), 6), seed=seed)
        expected = oracle(first @ second.T)
        update = weighting(step(first, second, third))
        torch.testing.assert_close(weighting.last_weights, expected)
        torch.testing.assert_close(update, expected @ third)


def test_of_equal_samples_it_is_the_regularised_min_norm_point() -> None:
    """Of orthogonal rows, w + λ/T ∝ 1/‖g_i‖² on the simplex: (1.3)(0.8, 0.2) − 0.15 is inside."""
    jacobian = torch.tensor([[1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    weighting = SDMGrad(("a", "b"), lr=0.1, num_iterations=500).double()
    weighting(step(jacobian, jacobian, jacobian))
    torch.testing.assert_close(
        weighting.last_weights, torch.tensor([0.8, 0.2], dtype=torch.float64)
    )


def test_a_large_lamda_is_the_mean_gradient() -> None:
    first, second, third = random_jacobians(3)
    weighting = SDMGrad(("a", "b", "c"), lamda=1e9).double()
    update = weighting(step(first, second, third))
    torch.testing.assert_close(update, third.mean(dim=0), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("scale", [0.0, 1e-12, 1e12])
def test_any_scale_stays_on_the_simplex(scale: float) -> None:
    first, second, third = random_jacobians(3)
    weighting = SDMGrad(("a", "b", "c"))
    update = weighting(step(scale * first, -scale * second, third))
    assert torch.isfinite(update).all()
    torch.testing.assert_close(float(weighting.last_weights.sum()), 1.0)


def test_inactive_tasks_and_resume() -> None:
    steps = [step(*random_jacobians(3, seed=seed)) for seed in range(6)]
    assert_inactive_is_absent(SDMGrad, steps)
    assert_goes_on_after_a_round_trip(SDMGrad, steps)
