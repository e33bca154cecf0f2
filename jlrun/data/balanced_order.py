"""Order of training rows in which every class of a task is equally frequent."""

# N rows, of which n have one of the K classes

from __future__ import annotations

import torch
from torch import Generator, Tensor


def balanced_order(classes: Tensor, generator: Generator) -> Tensor:
    """Return N row indices in which each class that occurs has n / K places, rounded.

    Classes take turns in random order, so that any batch has them in equal numbers, up to one. Rows
    of a frequent class are drawn without replacement; those of a rare one are passed over as often
    as needed. Rows without a class keep one place each, at random.

    Args:
        classes: class of each row, int64 ``(N,)``; below 0: none.
        generator: of all draws.
    """
    rows = (classes >= 0).nonzero().flatten()
    drawn = _in_turns(classes[rows], generator)
    others = (classes < 0).nonzero().flatten()
    places = torch.randperm(len(classes), generator=generator)[: len(others)]
    order = torch.empty_like(classes)
    taken = torch.zeros(len(classes), dtype=torch.bool)
    taken[places] = True
    order[places] = others
    order[~taken] = rows[drawn]
    return order


def _in_turns(classes: Tensor, generator: Generator) -> Tensor:
    """Return positions ``(n,)`` in ``classes`` ``(n,)``, whose classes take turns."""
    members = [(classes == name).nonzero().flatten() for name in classes.unique()]
    turns = -(-len(classes) // max(1, len(members)))
    ranks = torch.rand(turns, len(members), generator=generator).argsort(dim=1)
    turn = ranks.flatten()[: len(classes)]
    drawn = torch.empty_like(classes)
    for k, rows in enumerate(members):
        places = (turn == k).nonzero().flatten()
        passes = -(-len(places) // len(rows))
        order = torch.rand(passes, len(rows), generator=generator).argsort(dim=1)
        drawn[places] = rows[order.flatten()[: len(places)]]
    return drawn
