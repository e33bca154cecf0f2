"""DB-MTL against algorithm 1 written out, and its invariances."""

from functools import partial

import pytest
import torch

from jlrun.objective.weightings import DBMTL
from tests.objective.weightings.gradient_steps import (
    assert_goes_on_after_a_round_trip,
    assert_inactive_is_absent,
    random_jacobians,
    step,
)


@pytest.mark.parametrize(("beta", "sigma"), [(0.9, 0.0), (0.9, 0.5), (0.1, 1.0), (0.0, 0.0)])
def test_it_follows_algorithm_1(beta: float, sigma: float) -> None:
    """∇log L by autograd of the log of linear losses L_i = c_i + g_i·θ at θ = 0."""
    weighting = DBMTL(("a", "b", "c"), beta=beta, beta_sigma=sigma).double()
    average = torch.zeros(3, 5, dtype=torch.float64)
    constants = torch.tensor([0.5, 1.0, 7.0], dtype=torch.float64)
    for k, jacobian in enumerate(random_jacobians(4), start=1):
        theta = torch.zeros(5, dtype=torch.float64)
        logs = torch.autograd.functional.jacobian(
            lambda t, j=jacobian: torch.log(constants + j @ t + 1e-8), theta
        )
        rate = beta / k**sigma
        average = rate * average + (1 - rate) * logs
        norms = average.norm(dim=1, keepdim=True)
        expected = (norms.max() / (norms + 1e-8) * average).sum(dim=0)
        update = weighting(step(jacobian, losses=constants.tolist()))
        torch.testing.assert_close(update, expected)


def test_without_memory_the_scale_of_a_loss_does_not_matter() -> None:
    """Each task then has the direction of its gradient and the largest norm of a log-gradient."""
    (jacobian,) = random_jacobians(1)
    scale = torch.tensor([1.0, 1e3, 1e-3], dtype=torch.float64)
    weighting = DBMTL(("a", "b", "c"), beta=0.0).double()
    update = weighting(step(jacobian, losses=[1.0, 1.0, 1.0]))
    scaled = weighting(step(scale[:, None] * jacobian, losses=scale.tolist()))
    torch.testing.assert_close(update, scaled, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        weighting.last_weights @ (scale[:, None] * jacobian), scaled, rtol=1e-9, atol=0
    )


def test_only_what_remembers_nothing_may_look_at_features() -> None:
    averaged = DBMTL(("a",), beta=0.9)
    assert averaged.sources == ("parameters",)
    assert not averaged.reuses_weights
    stateless = DBMTL(("a", "b"))
    assert stateless.sources == ("features", "parameters")
    assert stateless.reuses_weights
    stateless(step(torch.eye(2)))
    assert stateless.averages.values.numel() == 0


@pytest.mark.parametrize("beta", [0.0, 0.9])
def test_zero_losses_and_gradients_and_negative_losses(beta: float) -> None:
    weighting = DBMTL(("a", "b"), beta=beta)
    assert torch.isfinite(weighting(step(torch.zeros(2, 2), losses=[0.0, 0.0]))).all()
    update = weighting(step(torch.eye(2), losses=[0.0, -1.0]))
    assert torch.isfinite(update).all()
    assert (update > 0).all()  # still along both gradients
    assert torch.isfinite(weighting.last_weights).all()


@pytest.mark.parametrize("beta", [0.0, 0.9])
def test_inactive_tasks_and_resume(beta: float) -> None:
    steps = [step(j, losses=[1.0, 2.0, 3.0]) for j in random_jacobians(6)]
    make = partial(DBMTL, beta=beta, beta_sigma=0.5)
    assert_inactive_is_absent(make, steps)
    assert_goes_on_after_a_round_trip(make, steps)
