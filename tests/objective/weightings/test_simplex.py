"""The projection by its optimality conditions; updates of some of the tasks."""

import pytest
import torch
from torch import Tensor

from jlrun.objective.weightings.simplex import project_to_simplex, step_on_simplex


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
