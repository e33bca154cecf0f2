"""The projection by its optimality conditions; updates of some of the tasks."""

import pytest
import torch
from torch import Tensor

from jlrun.objective.weightings.simplex import masked_softmax, project_to_simplex, step_on_simplex


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6, 1e20])
@pytest.mark.parametrize("size", [1, 2, 7])
def test_projection_meets_its_optimality_conditions(scale: float, size: int) -> None:
    generator = torch.Generator().manual_seed(size)
    point = scale * torch.randn(size, generator=generator, dtype=torch.float64)
    nearest = project_to_simplex(point)
    assert (nearest >= 0).all()
    torch.testing.assert_close(float(nearest.sum()), 1.0)
    # p = max(y − θ, 0): all entries above 0 are shifted alike, and the others lie below θ
    shifts = (point - nearest)[nearest > 0]
    torch.testing.assert_close(shifts, shifts[:1].expand_as(shifts))
    assert (point[nearest == 0] <= shifts[0] + 1e-12 * scale).all()


def test_projection_of_a_point_of_the_simplex_is_itself() -> None:
    point = torch.tensor([0.2, 0.0, 0.8], dtype=torch.float64)
    torch.testing.assert_close(project_to_simplex(point), point)


def swap(weights: Tensor, matrix: Tensor) -> Tensor:
    assert matrix.shape == (len(weights), len(weights))
    return weights.flip(0)


def test_active_tasks_share_what_they_held_and_others_keep_theirs() -> None:
    weights = torch.tensor([0.1, 0.5, 0.4], dtype=torch.float64)
    active = torch.tensor([True, False, True])
    step = step_on_simplex(weights, active, torch.eye(3), swap)
    torch.testing.assert_close(step, torch.tensor([0.8, 0.0, 0.2], dtype=torch.float64))
    torch.testing.assert_close(weights, torch.tensor([0.4, 0.5, 0.1], dtype=torch.float64))


def test_active_tasks_without_any_weight_begin_as_equals() -> None:
    weights = torch.tensor([0.0, 1.0, 0.0])
    step = step_on_simplex(weights, torch.tensor([True, False, True]), torch.eye(3), swap)
    assert step.tolist() == [0.5, 0.0, 0.5]
    assert weights.tolist() == [0.0, 1.0, 0.0]


def test_without_active_tasks_nothing_moves() -> None:
    weights = torch.tensor([0.3, 0.7])
    step = step_on_simplex(weights, torch.zeros(2).bool(), torch.eye(2), swap)
    assert step.tolist() == [0.0, 0.0]
    torch.testing.assert_close(weights, torch.tensor([0.3, 0.7]))


def test_it_is_the_softmax_of_the_active_and_zero_elsewhere() -> None:
    logits = torch.tensor([1.0, 500.0, -2.0, 0.5])
    active = torch.tensor([True, False, True, True])
    result = masked_softmax(logits, active)
    assert result[1] == 0
    torch.testing.assert_close(result[active], logits[active].softmax(dim=0))


def test_huge_logits_are_one_hot() -> None:
    result = masked_softmax(torch.tensor([1e30, -1e30, 0.0]), torch.ones(3).bool())
    assert result.tolist() == [1.0, 0.0, 0.0]


def test_without_an_active_task_all_are_zero() -> None:
    assert masked_softmax(torch.ones(3), torch.zeros(3).bool()).tolist() == [0.0, 0.0, 0.0]


def test_gradients_are_those_of_the_softmax_and_none_for_the_others() -> None:
    logits = torch.tensor([0.3, 2.0, -1.0], requires_grad=True)
    masked_softmax(logits, torch.tensor([True, False, True]))[0].backward()
    pair = torch.tensor([0.3, -1.0], requires_grad=True)
    pair.softmax(dim=0)[0].backward()
    assert logits.grad is not None
    assert pair.grad is not None
    torch.testing.assert_close(logits.grad[[0, 2]], pair.grad)
    assert logits.grad[1] == 0
