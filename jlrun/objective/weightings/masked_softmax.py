"""Softmax over the tasks that take part in a step."""

from __future__ import annotations

import torch
from torch import Tensor


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
