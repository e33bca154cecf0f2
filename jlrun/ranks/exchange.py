"""Exchange with gradients: sums and rows of all ranks.

Each rank computes the whole loss from what was exchanged. The gradient by what a rank gave is
multiplied by the number of ranks, since gradients of parameters are averaged over them (see
`jlrun.ranks`); nothing is sent in the backward pass.
"""

# W ranks

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from jlrun.ranks.world import World


def summed(scalars: Sequence[Tensor], world: World) -> list[Tensor]:
    """Return the sums over the ranks of scalars, each on the graph of this rank's one alone."""
    if not scalars or not world.several:
        return list(scalars)
    totals = world.sum(torch.stack([scalar.detach() for scalar in scalars])).unbind()
    return [_Valued.apply(s, t, world.size) for s, t in zip(scalars, totals, strict=True)]  # pyright: ignore


def summed_meanwhile(
    scalars: Sequence[Tensor], world: World
) -> tuple[list[Tensor], Callable[[], Tensor]]:
    """Return scalars with this rank's part of the sums over the ranks, on their graph.

    For a loss that is linear in them, which needs no value of other ranks to go back from.

    Returns:
        The scalars, and what waits for the sums ``(T,)``, detached.
    """
    own = torch.stack([scalar.detach() for scalar in scalars])
    parts = zip(scalars, own.clone().unbind(), strict=True)
    return [_Valued.apply(s, v, world.size) for s, v in parts], world.begin_sum(own)  # pyright: ignore


def gathered(x: Tensor, count: int, world: World) -> Tensor:
    """Return the rows of all ranks ``(count, …)``, each of which has its share."""
    return _Gathered.apply(x, count, world)  # pyright: ignore[reportReturnType]


class _Valued(torch.autograd.Function):
    """A given value, with the gradient of this rank's part of it."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, value: Tensor, size: int) -> Tensor:
        ctx.size = size
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None, None]:
        return gradients[0] * ctx.size, None, None


class _Gathered(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor, count: int, world: World) -> Tensor:
        ctx.world, ctx.count = world, count
        return world.gather_rows(own, count)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None, None]:
        start, stop = ctx.world.bounds(ctx.count)
        return gradients[0][start:stop] * ctx.world.size, None, None
