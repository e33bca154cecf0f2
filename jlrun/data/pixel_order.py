"""Images whose channels of a pixel lie together in memory (`torch.channels_last`)."""

from __future__ import annotations

import torch
from torch import Tensor


def is_channels_last(images: Tensor) -> bool:
    """Whether images ``(N, C, H, W)`` lie channels-last, and not also in the order of the axes."""
    if images.ndim != 4 or images.is_contiguous():
        return False
    return images.is_contiguous(memory_format=torch.channels_last)


def rows_at(x: Tensor, rows: Tensor) -> Tensor:
    """Return a copy of the rows of ``(N, ...)`` at the indices ``rows``, laid out as ``x`` is."""
    if is_channels_last(x):
        return x.permute(0, 2, 3, 1).index_select(0, rows).permute(0, 3, 1, 2)
    return x.index_select(0, rows)
