"""Losses that a method divides by, or takes the logarithm of."""

from __future__ import annotations

import torch
from torch import Tensor

EPSILON = 1e-8


def positive(losses: Tensor) -> Tensor:
    """Return L + ε, so that values and gradients are finite at L = 0; the shape is kept.

    Methods of relative losses have no meaning where L < 0. The result is then not a number, which
    stops the run: a clamped loss would train nothing and tell nobody.
    """
    return torch.where(losses < 0, torch.nan, losses + EPSILON)
