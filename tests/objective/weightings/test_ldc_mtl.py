"""LDC against its objective in PyTorch's autograd and Adam."""

from __future__ import annotations

import math

import pytest
import torch

from jlrun.objective.weightings import LDCMTL
from tests.objective.weightings.task_losses import gradient, scalar, task_losses

TASKS = ("a", "b", "c")


def steps(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    scales = torch.tensor([0.3, 1.0, 4.0], dtype=torch.float64)
    return (torch.rand(count, 3, generator=generator, dtype=torch.float64) + 0.5) * scales


@pytest.mark.parametrize("squash", ["sigmoid", "softmax"])
@pytest.mark.parametrize("normalize", ["none", "initial"])
def test_losses_and_logits_follow_the_gradient_of_the_objective(
    squash: str, normalize: str
) -> None:
    weighting = LDCMTL(TASKS, 0.05, 0.1, squash, normalize).double()  # pyright: ignore[reportArgumentType]
    v = torch.ones(3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([v], lr=0.1)
    first = steps(1)[0] + 1e-8 if normalize == "initial" else torch.ones(3).double()
    for values in steps(40):
        losses = values.clone().requires_grad_()
        w = v.sigmoid() if squash == "sigmoid" else v.softmax(dim=0)
        u = w * losses / first
        total = u.sum() / w.sum().detach()
        total = total + 0.05 * ((u[0] - u[1]).abs() + (u[1] - u[2]).abs())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        given = task_losses(values.tolist())
        found = weighting(given)
        assert float(found.detach()) == pytest.approx(float(total.detach()))
        torch.testing.assert_close(torch.autograd.grad(found, given.values)[0], losses.grad)
        torch.testing.assert_close(weighting.last_weights, losses.grad)
    torch.testing.assert_close(weighting.logits, v.detach())


def test_it_begins_with_the_mean_and_the_discrepancy() -> None:
    w = 1 / (1 + math.exp(-1))
    weighting = LDCMTL(("a", "b"), penalty=0.1).double()
    assert scalar(weighting, task_losses([4.0, 1.0])) == pytest.approx(2.5 + 0.1 * 3 * w)


def test_without_a_penalty_it_is_a_weighted_mean() -> None:
    weighting = LDCMTL(TASKS, penalty=0.0).double()
    for values in steps(10):
        weights = gradient(weighting, task_losses(values.tolist()))
        assert float(weights.sum()) == pytest.approx(1.0)


def test_the_penalty_draws_weighted_losses_together() -> None:
    spread = []
    for penalty in (0.0, 1.0):
        weighting = LDCMTL(("a", "b"), penalty, lr=0.05, squash="softmax").double()
        for _ in range(300):
            weighting(task_losses([3.0, 1.0]))
        u = weighting.logits.softmax(dim=0) * torch.tensor([3.0, 1.0])
        spread.append(float((u[0] - u[1]).abs()))
    assert spread[1] < 0.1 < spread[0]


def test_neighbours_are_those_among_the_tasks_with_labels() -> None:
    three, pair = LDCMTL(TASKS, penalty=0.3, lr=0.1).double(), LDCMTL(("a", "c"), 0.3, 0.1).double()
    for a, c in ((1.0, 4.0), (2.0, 1.0), (0.5, 0.7)):
        found = gradient(three, task_losses([a, 0.0, c], [True, False, True]))
        torch.testing.assert_close(found[[0, 2]], gradient(pair, task_losses([a, c])))
        assert found[1] == 0
    assert three.logits[1] == 1


def test_first_losses_that_are_divided_by_must_not_be_negative() -> None:
    assert math.isnan(scalar(LDCMTL(("a", "b"), normalize="initial"), task_losses([-1.0, 1.0])))
