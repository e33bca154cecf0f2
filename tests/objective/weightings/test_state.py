"""State of weightings: the gradient memory, and Adam on task weights."""

from __future__ import annotations

import pytest
import torch

from jlrun.objective.weightings.state import GradientMemory, TaskAdam


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


def gradients(steps: int, dtype: torch.dtype) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    scales = torch.tensor([1e-3, 1.0, 1e3], dtype=dtype)
    return torch.randn(steps, 3, generator=generator, dtype=dtype) * scales


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_values_are_those_of_torch_optim(
    weight_decay: float, dtype: torch.dtype, tolerance: float
) -> None:
    value = torch.tensor([0.5, -1.0, 2.0], dtype=dtype)
    expected = value.clone().requires_grad_()
    optimizer = torch.optim.Adam([expected], lr=0.025, weight_decay=weight_decay)
    adam = TaskAdam(3, lr=0.025, weight_decay=weight_decay).to(dtype)
    for gradient in gradients(100, dtype):
        adam.step(value, gradient)
        expected.grad = gradient.clone()
        optimizer.step()
        torch.testing.assert_close(value, expected.detach(), atol=tolerance, rtol=tolerance)


def test_a_coordinate_that_rests_is_as_if_its_steps_had_not_been() -> None:
    value, alone = torch.ones(3), torch.ones(3)
    adam, other = (TaskAdam(3, lr=0.1, weight_decay=0.1) for _ in range(2))
    for number, gradient in enumerate(gradients(20, torch.float32)):
        active = torch.tensor([True, number % 3 == 0, False])
        adam.step(value, gradient, active)
        if number % 3 == 0:
            other.step(alone, gradient)
    assert value[1] == alone[1]
    assert value[2] == 1.0
    assert value[0] != alone[0]


def test_state_goes_on_after_a_round_trip() -> None:
    value = torch.ones(3)
    first, second = TaskAdam(3, lr=0.1), TaskAdam(3, lr=0.1)
    for gradient in gradients(5, torch.float32):
        first.step(value, gradient)
    second.load_state_dict(first.state_dict())
    other = value.clone()
    for gradient in gradients(8, torch.float32)[5:]:
        first.step(value, gradient)
        second.step(other, gradient)
    assert torch.equal(value, other)
