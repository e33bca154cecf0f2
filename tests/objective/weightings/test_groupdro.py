"""GroupDRO against algorithm 1 of its paper, written out."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from jlrun.objective.weightings import GroupDRO, TaskLosses
from tests.objective.weightings.task_losses import gradient, scalar, task_losses

TASKS = ("a", "b", "c")


@pytest.mark.parametrize("eta", [0.01, 1.0])
def test_the_update_of_the_paper(eta: float) -> None:
    weighting, q = GroupDRO(TASKS, eta).double(), torch.ones(3).double() / 3
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        values = 3 * torch.rand(3, generator=generator, dtype=torch.float64)
        q = q * (eta * values).exp()
        q = q / q.sum()
        losses = task_losses(values.tolist())
        total = weighting(losses)
        torch.testing.assert_close(total, (q * values).sum())
        # q is a constant of the step: its weights are the derivatives
        torch.testing.assert_close(torch.autograd.grad(total, losses.values)[0], q)
        torch.testing.assert_close(weighting.last_weights, q)
    assert float(q.max() - q.min()) > 1e-3


def test_one_step_in_numbers() -> None:
    weights = gradient(GroupDRO(("a", "b"), eta=math.log(2)), task_losses([1.0, 3.0]))
    assert weights.tolist() == pytest.approx([2 / 10, 8 / 10])


def test_it_finds_the_point_of_least_worst_loss() -> None:
    # losses x² + 1 and (x − 3)² are both 16/9 + 1 at their minimax, x = 4/3
    weighting = GroupDRO(("a", "b"), eta=0.05).double()
    x = torch.zeros((), dtype=torch.float64, requires_grad=True)
    steps = 1000
    average = 0.0
    for number in range(1, steps + 1):
        values = torch.stack([x**2 + 1, (x - 3) ** 2])
        (slope,) = torch.autograd.grad(
            weighting(TaskLosses(("a", "b"), values, torch.ones(2).bool())), x
        )
        with torch.no_grad():
            x -= 0.05 / math.sqrt(number) * slope
        average += float(x.detach()) / steps
    assert average == pytest.approx(4 / 3, abs=0.02)


def run(weighting: GroupDRO, steps: list[tuple[list[float], list[bool]]]) -> Tensor:
    for values, active in steps:
        weighting(task_losses(values, active))
    return weighting.log_q.exp()


def test_a_group_without_labels_keeps_its_weight() -> None:
    weighting = GroupDRO(TASKS, eta=0.5).double()
    run(weighting, [([1.0, 2.0, 3.0], [True] * 3)])
    kept = weighting.log_q[1].clone()
    q = run(weighting, [([9.0, 0.0, 1.0], [True, False, True])] * 3)
    torch.testing.assert_close(q[1], kept.exp())
    torch.testing.assert_close(q.sum(), torch.ones(()).double())
    assert q[0] > q[2]


def test_huge_losses_leave_no_weight_that_is_lost_for_good() -> None:
    weighting = GroupDRO(("a", "b"), eta=1.0)
    assert math.isfinite(scalar(weighting, task_losses([1e4, 0.0])))
    assert weighting.last_weights.tolist() == [1.0, 0.0]
    for _ in range(3):
        scalar(weighting, task_losses([0.0, 5e3]))
    assert weighting.last_weights.tolist() == [0.0, 1.0]
