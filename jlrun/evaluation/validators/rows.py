"""Which rows of the evidence count."""

from __future__ import annotations

import torch
from torch import Tensor

from jlrun.seeding import derive_seed


def usable(*tensors: Tensor) -> bool:
    """Say whether each tensor has a row and all numbers are finite."""
    return all(len(x) > 0 and bool(x.isfinite().all()) for x in tensors)


def limited(rows: Tensor, max_rows: int) -> Tensor:
    """Return ``rows``, or ``max_rows`` of them drawn without replacement, in their order.

    Which ones depends on both numbers alone, so that epochs and runs are compared on the same rows.
    """
    if len(rows) <= max_rows:
        return rows
    generator = torch.Generator().manual_seed(derive_seed("validator", len(rows), max_rows))
    kept = torch.randperm(len(rows), generator=generator)[:max_rows]
    return rows[kept.sort().values]
