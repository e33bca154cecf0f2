"""Task weights on the probability simplex."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def project_to_simplex(point: Tensor) -> Tensor:
    """Return the nearest point ``(T,)`` with entries of at least 0 and the sum 1.

    Duchi et al., "Efficient Projections onto the l1-Ball for Learning in High Dimensions", ICML
    2008, figure 1.
    """
    # A shift changes nothing, and keeps the 1 of the sum from being lost next to large entries.
    point = point - point.max()
    ordered = point.sort(descending=True).values
    thresholds = (ordered.cumsum(dim=0) - 1) / torch.arange(1, len(point) + 1).to(point)
    threshold = thresholds[ordered > thresholds][-1]
    return (point - threshold).clamp_min(0)


def step_on_simplex(
    weights: Tensor,
    active: Tensor,
    matrix: Tensor,
    rule: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """Let ``rule`` update the weights of the active tasks, as if there were no others.

    The active tasks form a smaller simplex. What they hold together of the
    simplex of all tasks stays the same, and so do the weights of the other tasks.

    Args:
        weights: ``(T,)`` on the simplex; changed in place.
        active: Bool ``(T,)``.
        matrix: ``(T, T)``, input of the rule.
        rule: from weights ``(A,)`` on the simplex and the matrix ``(A, A)`` of the active tasks, in
            float64 on the CPU, to new weights ``(A,)`` on the simplex.

    Returns:
        The new weights of the active tasks among themselves, and 0 for the others: ``(T,)`` float64
        on the CPU.
    """
    rows = active.cpu().nonzero().flatten()
    state = weights.double().cpu()
    step = torch.zeros_like(state)
    if len(rows) == 0:
        return step
    share = state[rows].sum()
    start = state[rows] / share if share > 0 else torch.full_like(state[rows], 1 / len(rows))
    step[rows] = rule(start, matrix.double().cpu()[rows][:, rows])
    state[rows] = share * step[rows]
    weights.copy_(state)
    return step


def masked_softmax(logits: Tensor, active: Tensor) -> Tensor:
    """Return the softmax ``(T,)`` over active tasks, and 0 for the others.

    Without an active task all are 0.

    Args:
        logits: ``(T,)``, finite for active tasks.
        active: Bool ``(T,)``.
    """
    masked = logits.masked_fill(~active, -torch.inf)
    powers = (logits - masked.detach().max()).masked_fill(~active, -torch.inf).exp()
    return powers / powers.sum().clamp(min=torch.finfo(powers.dtype).tiny)
