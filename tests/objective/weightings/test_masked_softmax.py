"""Softmax over a part of the tasks."""

from __future__ import annotations

import torch

from jlrun.objective.weightings.simplex import masked_softmax


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
