"""Auto-λ against the hypergradient of a look-ahead step, by autograd."""

import pytest
import torch
from torch import Tensor

from jlrun.errors import UserError
from jlrun.objective.weightings import AutoLambda
from tests.objective.weightings.gradient_steps import (
    assert_goes_on_after_a_round_trip,
    assert_inactive_is_absent,
    random_jacobians,
    step,
)


@pytest.mark.parametrize("primary", [(), ("b",), ("a", "c")])
def test_weights_follow_the_look_ahead(primary: tuple[str, ...]) -> None:
    """Linear losses L_i(θ) = g_i·θ: there the look-ahead is exact, with any step size η."""
    first, second = random_jacobians(2)
    counts = torch.tensor([not primary or task in primary for task in "abc"])
    weights = torch.full((3,), 0.1, dtype=torch.float64, requires_grad=True)
    theta = -0.01 * weights @ first
    adam = torch.optim.Adam([weights], lr=1e-3)
    (second @ theta)[counts].sum().backward()
    adam.step()
    weighting = AutoLambda(("a", "b", "c"), primary=primary, meta_lr=1e-3).double()
    update = weighting(step(first, second))
    # Adam's ε of 1e-8 stands beside gradients of other sizes
    torch.testing.assert_close(weighting.last_weights, weights.detach(), rtol=0, atol=1e-8)
    torch.testing.assert_close(update, weighting.last_weights @ (first + second) / 2)


def trained(jacobian: Tensor, primary: tuple[str, ...] = ()) -> list[float]:
    weighting = AutoLambda(("a", "b", "c"), primary=primary, meta_lr=1e-2)
    for _ in range(50):
        weighting(step(jacobian, jacobian))
    return weighting.last_weights.tolist()


def test_a_task_that_helps_the_primary_one_gains_and_one_that_hurts_it_falls_to_0() -> None:
    a, b, c = trained(torch.tensor([[1.0, 0.0], [1.0, 1.0], [-1.0, 1.0]]), primary=("a",))
    assert a > 0.5
    assert b > 0.5
    assert c == 0.0


def test_a_weight_of_0_may_rise_again() -> None:
    weighting = AutoLambda(("a", "b"), primary=("a",), initial=0.0, meta_lr=1e-2)
    jacobian = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    weighting(step(jacobian, jacobian))
    assert (weighting.last_weights > 0).all()


def test_primary_tasks_must_exist_in_some_phase() -> None:
    weighting = AutoLambda(("digit",), primary=("labl",))
    with pytest.raises(UserError, match="Did you mean 'label'"):
        weighting.check(("digit", "label"))
    AutoLambda(("digit",), primary=("label",)).check(("digit", "label"))


def test_an_inactive_task_does_not_drift_with_adams_momentum() -> None:
    weighting = AutoLambda(("a", "b", "c"), meta_lr=1e-2).double()
    first, second = random_jacobians(2)
    weighting(step(first, second))
    before = weighting.last_weights[1].clone()
    mask = torch.tensor([[1.0], [0.0], [1.0]])
    weighting(step(first * mask, second * mask, active=[True, False, True]))
    assert weighting.last_weights[1] == before


def test_inactive_tasks_and_resume() -> None:
    steps = [step(*random_jacobians(2, seed=seed)) for seed in range(6)]
    assert_inactive_is_absent(AutoLambda, steps)
    assert_goes_on_after_a_round_trip(AutoLambda, steps)
