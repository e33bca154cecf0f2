"""Positives: rows with equal labels or equal text."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from jlrun.data.batch import Batch

_SEED = 0x5EED
_LARGEST = 2**63 - 1


def row_keys(batch: Batch, columns: Sequence[str] = ()) -> Tensor:
    """Return a key per row, int64 ``(B,)``: rows with equal keys from 0 on are positives.

    Those are rows with the same labels in all of ``columns``; without columns, rows with the same
    text. A row that lacks a label, or its text, has a key below 0, and is positive to no other row.

    Args:
        batch: rows; it has the columns among its targets, with classes.
        columns: target columns.
    """
    if columns:
        parts = [batch.targets[name].long().view(-1, 1) for name in columns]
        masks = [batch.labelled.get(name) for name in columns]
    else:
        texts = {m: x for m, x in batch.inputs.items() if _is_text(x)}
        parts = list(texts.values())
        masks = [batch.present.get(name) for name in texts]
    if not parts:
        return torch.full((batch.size,), -1, device=next(iter(batch.inputs.values())).device)
    keys = _hashed(torch.cat(parts, dim=1))
    for mask in masks:
        keys = keys if mask is None else torch.where(mask, keys, -1)
    return keys


def positives(one: Tensor, other: Tensor) -> Tensor:
    """Return which pairs of two sets of rows are positives by their keys, Bool ``(N, M)``."""
    return (one[:, None] == other) & (one >= 0)[:, None]


def _is_text(x: Tensor) -> bool:
    return x.ndim == 2 and not x.is_floating_point()


def _hashed(columns: Tensor) -> Tensor:
    """Return a hash from 0 on per row of int64 ``(B, C)``; zeros at the end don't count.

    Different rows collide with a probability of about 2⁻⁶³.
    """
    generator = torch.Generator().manual_seed(_SEED)
    factors = torch.randint(_LARGEST, (columns.shape[1],), generator=generator).to(columns.device)
    return (columns * (2 * factors + 1)).sum(dim=1) & _LARGEST  # the product wraps around
