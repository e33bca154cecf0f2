"""A buffer that learns its size."""

import torch

from jlrun.objective.weightings.state import GradientMemory


def test_it_takes_the_size_and_dtype_of_the_first_jacobian() -> None:
    memory = GradientMemory(2)
    jacobian = torch.ones(2, 3, dtype=torch.float64)
    memory.like(jacobian).add_(jacobian)
    assert torch.equal(memory.like(jacobian), jacobian)


def test_a_checkpoint_of_another_size_loads() -> None:
    memory, fresh, used = GradientMemory(2), GradientMemory(2), GradientMemory(2)
    memory.like(torch.ones(2, 3)).add_(2)
    used.like(torch.ones(2, 7))
    for other in (fresh, used):
        other.load_state_dict(memory.state_dict())
        assert torch.equal(other.values, torch.full((2, 3), 2.0))


def test_a_checkpoint_from_before_the_first_step_loads() -> None:
    memory = GradientMemory(2)
    memory.load_state_dict(GradientMemory(2).state_dict())
    assert memory.like(torch.ones(2, 5)).shape == (2, 5)
