"""Methods of relative losses: what all share, and log, geometric, imtl_l, uncertainty_soft."""

from __future__ import annotations

import math

import pytest
import torch

from jlrun.objective.weightings import (
    FAMO,
    IMTLL,
    STCH,
    Geometric,
    GO4Align,
    Log,
    LossWeighting,
    UncertaintySoft,
)
from jlrun.objective.weightings.base import EPSILON
from tests.objective.weightings.task_losses import gradient, scalar, task_losses

PAIR = ("a", "b")
RELATIVE = (FAMO, Geometric, GO4Align, IMTLL, Log, STCH, UncertaintySoft)


@pytest.mark.parametrize("method", RELATIVE)
def test_a_negative_loss_is_not_a_number(method: type[LossWeighting]) -> None:
    assert math.isnan(scalar(method(PAIR), task_losses([2.0, -0.5])))


@pytest.mark.parametrize("method", RELATIVE)
@pytest.mark.parametrize("values", [(0.0, 0.0), (0.0, 3.0), (1e-30, 1e30)])
def test_extreme_losses_stay_finite_and_weights_are_derivatives(
    method: type[LossWeighting], values: tuple[float, float]
) -> None:
    weighting = method(PAIR).double()
    losses = task_losses(values)
    found = gradient(weighting, losses)
    assert bool(torch.isfinite(found).all())
    torch.testing.assert_close(weighting.last_weights, found)


@pytest.mark.parametrize("method", RELATIVE)
def test_without_any_label_nothing_is_learned(method: type[LossWeighting]) -> None:
    weighting = method(PAIR).double()
    losses = task_losses([0.0, 0.0], [False, False])
    total = weighting(losses)
    assert float(total.detach()) == 0
    assert torch.autograd.grad(total, losses.values)[0].tolist() == [0.0, 0.0]


def test_log_is_the_sum_of_logarithms_whatever_the_scales() -> None:
    weighting = Log(PAIR)
    assert scalar(weighting, task_losses([2.0, 5.0])) == pytest.approx(math.log(10), abs=1e-7)
    near, far = (
        gradient(weighting, task_losses([2.0, b])) * torch.tensor([2, b]) for b in (5, 5e6)
    )
    torch.testing.assert_close(near, far, atol=1e-8, rtol=0)


def test_geometric_mean_and_its_derivatives() -> None:
    weighting = Geometric(("a", "b", "c"))
    losses = task_losses([2.0, 4.0, 8.0])
    assert scalar(weighting, losses) == pytest.approx(4.0)
    # ∂/∂L_i (Π L)^(1/3) = mean / (3 L_i)
    assert gradient(weighting, losses).tolist() == pytest.approx([2 / 3, 1 / 3, 1 / 6])


def test_geometric_mean_of_the_tasks_that_have_labels() -> None:
    losses = task_losses([2.0, 0.0, 8.0], [True, False, True])
    assert scalar(Geometric(("a", "b", "c")), losses) == pytest.approx(4.0)


def test_imtl_l_begins_at_the_sum_and_draws_scaled_losses_to_one() -> None:
    weighting = IMTLL(PAIR).double()
    losses = task_losses([4.0, 0.5])
    assert scalar(weighting, losses) == pytest.approx(4.5)
    optimizer = torch.optim.SGD(weighting.parameters(), lr=0.1)
    for _ in range(400):
        optimizer.zero_grad()
        weighting(losses).backward()
        optimizer.step()
    scaled = weighting.log_scale.detach().exp() * losses.values.detach()
    torch.testing.assert_close(scaled, torch.ones(2).double(), atol=1e-6, rtol=0)


def test_imtl_l_scale_of_a_solved_task_has_an_optimum() -> None:
    weighting = IMTLL(("a",)).double()
    with torch.no_grad():
        weighting.log_scale.fill_(-math.log(EPSILON))
    weighting(task_losses([0.0])).backward()
    assert weighting.log_scale.grad is not None
    assert float(weighting.log_scale.grad) == pytest.approx(0.0, abs=1e-12)


def test_imtl_l_scale_rests_without_labels() -> None:
    weighting = IMTLL(PAIR).double()
    weighting(task_losses([2.0, 0.0], [True, False])).backward()
    assert weighting.log_scale.grad is not None
    assert weighting.log_scale.grad[1] == 0
    assert float(weighting.log_scale.grad[0]) == pytest.approx(1.0)  # e^0 L − 1


@pytest.mark.parametrize("temperature", [0.5, 1.0, 20.0])
def test_uncertainty_soft_weights_are_the_softmax_of_inverse_losses(temperature: float) -> None:
    weighting = UncertaintySoft(PAIR, temperature)
    a, b = math.exp(1 / (temperature * 2.0)), math.exp(1 / (temperature * 0.5))
    expected = [a / (a + b), b / (a + b)]
    assert gradient(weighting, task_losses([2.0, 0.5])).tolist() == pytest.approx(expected)


def test_uncertainty_soft_with_large_temperatures_is_the_mean() -> None:
    found = gradient(UncertaintySoft(PAIR, 1e9), task_losses([2.0, 0.5]))
    assert found.tolist() == pytest.approx([0.5, 0.5])
