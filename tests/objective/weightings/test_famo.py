"""FAMO against an implementation with PyTorch's own autograd and Adam."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from jlrun.errors import UserError
from jlrun.objective.weightings import FAMO, TaskLosses
from tests.objective.weightings.task_losses import gradient, scalar, task_losses

TASKS = ("a", "b", "c")
TARGETS = torch.tensor([[1.0, 0.0], [-2.0, 1.0], [0.0, 30.0]], dtype=torch.float64)
SCALES = torch.tensor([1.0, 10.0, 0.01], dtype=torch.float64)


def quadratic_losses(x: Tensor, rows: slice = slice(None)) -> Tensor:
    """Three losses ``(T,)`` of very different sizes at ``x (2,)``; never 0 together."""
    return SCALES[rows] * ((x - TARGETS[rows]) ** 2).sum(dim=1) + 0.1


class Reference:
    """Algorithm 1 with ξ a leaf of autograd and `torch.optim.Adam`."""

    def __init__(self, bounds: Tensor, lr: float, gamma: float) -> None:
        self.bounds = bounds
        self.xi = torch.zeros(3, dtype=torch.float64, requires_grad=True)
        self.optimizer = torch.optim.Adam([self.xi], lr=lr, weight_decay=gamma)

    def total(self, losses: Tensor) -> Tensor:
        d = losses - self.bounds + 1e-8
        z = self.xi.detach().softmax(dim=0)
        return (z * d.log()).sum() / (z / d.detach()).sum()

    def learn(self, before: Tensor, after: Tensor) -> None:
        delta = (before - self.bounds + 1e-8).log() - (after - self.bounds + 1e-8).log()
        z = self.xi.softmax(dim=0)
        self.optimizer.zero_grad()
        (self.xi.grad,) = torch.autograd.grad(z, self.xi, grad_outputs=delta)
        self.optimizer.step()


def step(x: Tensor, total: Tensor) -> None:
    (slope,) = torch.autograd.grad(total, x)
    with torch.no_grad():
        x -= 0.02 * slope


@pytest.mark.parametrize("gamma", [0.0, 1e-3, 0.5])
@pytest.mark.parametrize("bounds", [{}, {"a": -2.1, "c": 0.05}])
def test_it_trains_as_the_algorithm_does(gamma: float, bounds: dict[str, float]) -> None:
    weighting = FAMO(TASKS, gamma=gamma, lower_bounds=bounds).double()
    b = torch.tensor([bounds.get(task, 0.0) for task in TASKS], dtype=torch.float64)
    reference = Reference(b, lr=0.025, gamma=gamma)
    x, y = (torch.tensor([3.0, 3.0], dtype=torch.float64, requires_grad=True) for _ in range(2))
    farthest = 0.0
    for _ in range(200):
        values = quadratic_losses(x)
        step(x, weighting(TaskLosses(TASKS, values, torch.ones(3).bool())))
        weighting.after_step(lambda: quadratic_losses(x).detach())
        expected = quadratic_losses(y)
        step(y, reference.total(expected))
        reference.learn(expected.detach(), quadratic_losses(y).detach())
        # The bounds are kept in float32.
        torch.testing.assert_close(weighting.logits, reference.xi.detach(), atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(x, y, atol=1e-6, rtol=1e-6)
        farthest = max(farthest, float(weighting.logits.abs().max()))
    assert farthest > 0.02


def test_next_batch_is_the_same_when_the_batch_is() -> None:
    now, later = FAMO(TASKS).double(), FAMO(TASKS, lookahead="next_batch").double()
    x, y = (torch.tensor([3.0, 3.0], dtype=torch.float64, requires_grad=True) for _ in range(2))
    for _ in range(30):
        step(x, now(TaskLosses(TASKS, quadratic_losses(x), torch.ones(3).bool())))
        now.after_step(lambda: quadratic_losses(x).detach())
        step(y, later(TaskLosses(TASKS, quadratic_losses(y), torch.ones(3).bool())))
        later.after_step(_must_not_be_asked)
    torch.testing.assert_close(x, y)


def _must_not_be_asked() -> Tensor:
    raise AssertionError("the losses of the same batch are not needed")


def test_next_batch_goes_on_after_a_round_trip_between_its_two_losses() -> None:
    whole, first, second = (FAMO(TASKS, lookahead="next_batch").double() for _ in range(3))
    steps = [(1.0, 2.0, 3.0), (0.9, 1.0, 2.9), (0.8, 0.9, 1.0), (0.7, 0.9, 0.9)]
    expected = [scalar(whole, task_losses(values)) for values in steps]
    for values in steps[:2]:
        first(task_losses(values))
    second.load_state_dict(first.state_dict())
    assert [scalar(second, task_losses(values)) for values in steps[2:]] == expected[2:]
    assert second.logits.abs().max() > 0


@pytest.mark.parametrize("lookahead", ["same_batch", "next_batch"])
def test_the_task_that_gains_most_loses_weight(lookahead: str) -> None:
    weighting = FAMO(("a", "b"), lookahead=lookahead).double()  # pyright: ignore[reportArgumentType]
    weighting(task_losses([1.0, 1.0]))
    weighting.after_step(lambda: torch.tensor([0.5, 0.9], dtype=torch.float64))
    weights = gradient(weighting, task_losses([0.5, 0.9]))
    z = weights * torch.tensor([0.5, 0.9])
    assert z[0] < z[1]
    assert float(weights.sum()) == pytest.approx(1.0)


@pytest.mark.parametrize("lookahead", ["same_batch", "next_batch"])
def test_a_task_without_labels_rests_and_moves_nobody(lookahead: str) -> None:
    pair, three = (
        FAMO(tasks, lookahead=lookahead).double()  # pyright: ignore[reportArgumentType]
        for tasks in (("a", "c"), TASKS)
    )
    with torch.no_grad():
        three.logits[1] = 0.7
    for a, c in ((1.0, 2.0), (0.5, 1.9), (0.4, 1.0)):
        found = gradient(three, task_losses([a, 0.0, c], [True, False, True]))
        expected = gradient(pair, task_losses([a, c]))
        torch.testing.assert_close(found[[0, 2]], expected)
        assert found[1] == 0
        after = torch.tensor([a * 0.9, 0.0, c * 0.5], dtype=torch.float64)
        three.after_step(lambda after=after: after)
        pair.after_step(lambda after=after: after[[0, 2]])
    assert float(three.logits[1]) == pytest.approx(0.7)
    assert float(pair.logits.abs().max()) > 0


def test_bounds_are_of_tasks_that_exist() -> None:
    with pytest.raises(UserError, match="Did you mean 'depth'"):
        FAMO(("depth",), lower_bounds={"dept": 1.0}).check(("depth",))
    FAMO(("depth",), lower_bounds={"label": 1.0}).check(("depth", "label"))


def test_a_loss_above_a_negative_bound_may_be_negative() -> None:
    weighting = FAMO(("a", "b"), lower_bounds={"a": -2.0})
    assert bool(torch.isfinite(gradient(weighting, task_losses([-1.5, 1.0]))).all())
