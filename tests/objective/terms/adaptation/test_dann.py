"""Gradient reversal, the layer of DANN."""

from __future__ import annotations

import torch
from torch import Tensor

from jlrun.objective.terms.adaptation.dann import reverse


def leaf() -> Tensor:
    return torch.linspace(-1, 2, 6, dtype=torch.float64).view(2, 3).requires_grad_()


def cubes(x: Tensor) -> Tensor:
    return (x**3).sum()


def test_values_pass_and_gradients_turn_round() -> None:
    x = leaf()
    torch.testing.assert_close(reverse(x, 0.3), x, rtol=0, atol=0)
    (grad,) = torch.autograd.grad(cubes(reverse(x, 0.3)), x)
    torch.testing.assert_close(grad, -0.3 * 3 * x.detach() ** 2)


def test_strength_zero_stops_the_gradient() -> None:
    x = leaf()
    (grad,) = torch.autograd.grad(cubes(reverse(x, 0.0)), x)
    assert not grad.any()


def test_differentiated_twice() -> None:
    # The gradient is g = −λ 3 x² with x reversed again: its derivative by x is −λ · 6 x · (−λ).
    x = leaf()
    (grad,) = torch.autograd.grad(cubes(reverse(x, 0.5)), x, create_graph=True)
    (second,) = torch.autograd.grad(grad.sum(), x)
    torch.testing.assert_close(second, 0.5**2 * 6 * x.detach())


def test_gradients_of_several_losses_at_once() -> None:
    x = leaf()
    seeds = torch.eye(6, dtype=torch.float64).view(6, 2, 3)
    (grads,) = torch.autograd.grad(reverse(x, 2.0), x, seeds, is_grads_batched=True)
    torch.testing.assert_close(grads, -2 * seeds)


def test_two_reversals_are_none() -> None:
    x = leaf()
    (grad,) = torch.autograd.grad(cubes(reverse(reverse(x, 1.0), 1.0)), x)
    torch.testing.assert_close(grad, 3 * x.detach() ** 2)
