"""What is minimised above is maximised below."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor


def reverse(x: Tensor, strength: float) -> Tensor:
    """Return ``x``; the gradient that comes back through it is multiplied by −λ.

    The gradient reversal layer of Ganin & Lempitsky, "Unsupervised Domain Adaptation by
    Backpropagation", ICML 2015, section 3.2. It can be differentiated twice.

    Args:
        x: of any shape.
        strength: λ.
    """
    return cast(Tensor, _Reversal.apply(x, strength))


class _Reversal(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, strength: float) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float], output: Tensor) -> None:
        ctx.strength = inputs[1]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * grads[0], None
