"""Smooth Tchebycheff scalarization."""

from __future__ import annotations

import math

import pytest
import torch

from jlrun.objective.weightings import STCH
from tests.objective.weightings.task_losses import gradient, scalar, task_losses

PAIR = ("a", "b")


def warmed(mu: float = 1.0, warmup_epochs: int = 1) -> STCH:
    """A weighting whose reference is (2, 10)."""
    weighting = STCH(PAIR, mu=mu, warmup_epochs=warmup_epochs).double()
    for _ in range(warmup_epochs):
        weighting(task_losses([70.0, 70.0]))
        weighting.end_epoch()
    weighting(task_losses([1.0, 8.0]))
    weighting(task_losses([3.0, 12.0]))
    weighting.end_epoch()
    return weighting


def test_log_losses_are_summed_until_the_reference_is_known() -> None:
    weighting = STCH(PAIR, warmup_epochs=2).double()
    for _ in range(3):
        assert scalar(weighting, task_losses([2.0, 5.0])) == pytest.approx(math.log(10))
        assert weighting.nadir.isnan().all()
        weighting.end_epoch()
    assert weighting.nadir.tolist() == [2.0, 5.0]
    # T μ log Σ exp(0) with all losses at the reference
    assert scalar(weighting, task_losses([2.0, 5.0])) == pytest.approx(2 * math.log(2))


@pytest.mark.parametrize("warmup_epochs", [0, 1, 3])
def test_the_reference_is_the_mean_of_the_epoch_after_the_warm_up(warmup_epochs: int) -> None:
    weighting = warmed(warmup_epochs=warmup_epochs)
    assert weighting.nadir.tolist() == [2.0, 10.0]
    weighting(task_losses([0.1, 0.1]))
    weighting.end_epoch()
    assert weighting.nadir.tolist() == [2.0, 10.0]


@pytest.mark.parametrize("mu", [0.1, 1.0, 7.0])
def test_the_scalar_is_the_papers(mu: float) -> None:
    a, b = math.log(0.5), math.log(0.9)
    expected = 2 * mu * math.log(math.exp(a / mu) + math.exp(b / mu))
    assert scalar(warmed(mu), task_losses([1.0, 9.0])) == pytest.approx(expected)


def test_gradients_are_shares_of_log_losses() -> None:
    weighting = warmed(mu=0.5)
    found = gradient(weighting, task_losses([1.0, 9.0]))
    a, b = 0.5**2, 0.9**2
    assert found.tolist() == pytest.approx([2 * a / (a + b) / 1.0, 2 * b / (a + b) / 9.0])
    torch.testing.assert_close(weighting.last_weights, found)


def test_small_mu_is_the_maximum() -> None:
    weighting = warmed(mu=1e-3)
    losses = task_losses([1.0, 9.0])
    assert scalar(weighting, losses) == pytest.approx(2 * math.log(0.9), abs=2e-3)
    assert gradient(weighting, losses).tolist() == pytest.approx([0.0, 2 / 9.0])


def test_a_task_that_was_missing_takes_its_reference_later() -> None:
    weighting = STCH(PAIR, warmup_epochs=0).double()
    weighting(task_losses([2.0, 0.0], [True, False]))
    weighting.end_epoch()
    found = gradient(weighting, task_losses([1.0, 4.0]))  # L / n is ½ and, for want of n, 1
    assert found.tolist() == pytest.approx([2 * (0.5 / 1.5) / 1.0, 2 * (1 / 1.5) / 4.0])
    weighting.end_epoch()
    assert weighting.nadir.tolist() == [2.0, 4.0]


def test_a_missing_task_leaves_the_others_to_themselves() -> None:
    found = gradient(warmed(), task_losses([1.0, 0.0], [True, False]))
    assert found.tolist() == pytest.approx([1.0, 0.0])


def test_a_reference_of_zero_stays_finite() -> None:
    weighting = STCH(PAIR, warmup_epochs=0).double()
    weighting(task_losses([0.0, 1.0]))
    weighting.end_epoch()
    for values in ([0.0, 1.0], [1.0, 0.0], [0.0, 0.0]):
        assert bool(torch.isfinite(gradient(weighting, task_losses(values))).all())
