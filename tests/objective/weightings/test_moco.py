"""MoCo against algorithm 1 written out, and where it ends."""

from functools import partial

import pytest
import torch

from jlrun.objective.weightings import MoCo
from tests.objective.weightings.gradient_steps import (
    assert_goes_on_after_a_round_trip,
    assert_inactive_is_absent,
    random_jacobians,
    step,
)


def test_it_follows_the_update_with_softmax_and_loss_norms() -> None:
    weighting = MoCo(("a", "b", "c"), rho=0.2).double()
    y = torch.zeros(3, 5, dtype=torch.float64)
    weights = torch.full((3,), 1 / 3, dtype=torch.float64)
    losses = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    for k, jacobian in enumerate(random_jacobians(4), start=1):
        h = torch.stack([loss * g / g.norm() for loss, g in zip(losses, jacobian, strict=True)])
        y = y - 0.5 / k**0.5 * (y - h)
        slope = (y @ y.T + 0.2 * torch.eye(3)) @ weights
        weights = torch.softmax(weights - 0.1 / k**0.5 * slope, dim=0)
        update = weighting(step(jacobian, losses=losses.tolist()))
        torch.testing.assert_close(update, weights @ y)
        torch.testing.assert_close(weighting.last_weights, weights)


def test_as_in_the_paper_it_ends_at_the_min_norm_point() -> None:
    """With constant gradients y → g and λ → argmin ‖Jᵀλ‖²; of orthogonal rows ∝ 1/‖g_i‖²."""
    weighting = MoCo(
        ("a", "b"),
        gamma=0.1,
        beta_sigma=0.0,
        gamma_sigma=0.0,
        normalize=False,
        projection="simplex",
    ).double()
    jacobian = torch.tensor([[1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    for _ in range(200):
        weighting(step(jacobian))
    expected = torch.tensor([0.8, 0.2], dtype=torch.float64)
    torch.testing.assert_close(weighting.last_weights, expected)
    torch.testing.assert_close(weighting(step(jacobian)), expected @ jacobian)


def test_the_noise_of_sampling_averages_out() -> None:
    """The variance of y is β/(2−β) of that of one gradient, here 1/19."""
    weighting = MoCo(("a",), beta=0.1, beta_sigma=0.0, normalize=False).double()
    generator = torch.Generator().manual_seed(0)
    for _ in range(200):
        noise = torch.randn(1, 2000, generator=generator, dtype=torch.float64)
        weighting(step(1 + noise))
    update = weighting.tracked.values
    assert float(update.mean()) == pytest.approx(1, abs=0.03)
    assert float(update.var()) == pytest.approx(1 / 19, rel=0.15)


@pytest.mark.parametrize("projection", ["softmax", "simplex"])
def test_zero_huge_and_negative_stay_finite(projection: str) -> None:
    weighting = MoCo(("a", "b"), projection=projection)  # pyright: ignore[reportArgumentType]
    for scale, losses in ((0.0, [0.0, 0.0]), (1e12, [1e12, 1.0]), (1.0, [-1.0, 1.0])):
        assert torch.isfinite(weighting(step(scale * torch.eye(2), losses=losses))).all()


@pytest.mark.parametrize("projection", ["softmax", "simplex"])
def test_inactive_tasks_and_resume(projection: str) -> None:
    make = partial(MoCo, projection=projection)  # pyright: ignore[reportArgumentType]
    steps = [step(j, losses=[1.0, 2.0, 3.0]) for j in random_jacobians(6)]
    assert_inactive_is_absent(make, steps)
    assert_goes_on_after_a_round_trip(make, steps)
