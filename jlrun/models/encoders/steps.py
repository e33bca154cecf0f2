"""The steps of a series as encoders read them: values with holes, and where the series ends."""

# B rows, T steps, C channels

from __future__ import annotations

import torch
from torch import Tensor


def read_steps(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return what encoders read of series ``(B, T, C)``, and which steps are padding.

    Returns:
        ``(B, T, 2C)``: the values, 0 (the mean of standardised ones) where one is missing, then
        marks of missing ones; all 0 in padding.
        Bool ``(B, T)``: the steps behind the last that has a value. The first is no padding.
    """
    missing = x.isnan()
    seen = (~missing).any(dim=2)
    # how many of the steps from here on have a value
    padding = seen.flip(1).int().cumsum(dim=1).flip(1) == 0
    padding[:, 0] = False
    marks = missing.masked_fill(padding[:, :, None], False).to(x.dtype)
    return torch.cat([x.masked_fill(missing, 0.0), marks], dim=2), padding
