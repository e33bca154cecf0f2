"""Predicted probabilities and their entropy, in float64 and a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

ROWS_AT_ONCE = 4096


def class_logits(logits: Tensor) -> Tensor:
    """Return float64 logits of exclusive classes ``(B, K)``: a single one, z, becomes (0, z)."""
    z = logits.double()
    return torch.cat([torch.zeros_like(z), z], dim=1) if z.shape[1] == 1 else z


def probabilities(logits: Tensor) -> Iterator[Tensor]:
    """Yield the class probabilities of all rows, some rows at a time, ``(b, K)``."""
    for rows in logits.split(ROWS_AT_ONCE):
        yield class_logits(rows).softmax(dim=1)


def mean_probabilities(logits: Tensor) -> Tensor:
    """Return the mean over rows, ``(K,)``."""
    return torch.stack([p.sum(dim=0) for p in probabilities(logits)]).sum(dim=0) / len(logits)


def mean_entropy(logits: Tensor) -> float:
    """Return the mean entropy of a row's prediction in nats."""
    return sum(float(torch.special.entr(p).sum()) for p in probabilities(logits)) / len(logits)
