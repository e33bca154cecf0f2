"""Sequences that end in padding: which tokens are none, and means and maxima over the others."""

from __future__ import annotations

from torch import Tensor

from jlrun.models.encoders.base import Tokens

PADDING = 0  # id of `jlrun.data.specs.TextSpec`


def padding_of(ids: Tensor) -> Tensor:
    """Return which of the token ids ``(B, T)`` are padding: Bool ``(B, T)``.

    The first of a text without tokens counts as one.
    """
    padding = ids == PADDING
    padding[:, 0] &= ~padding.all(dim=1)
    return padding


def masked_mean(tokens: Tokens) -> Tensor:
    """Return the mean ``(B, W)`` over the tokens that are no padding."""
    if tokens.padding is None:
        return tokens.values.mean(dim=1)
    known = ~tokens.padding[:, :, None]
    return tokens.values.where(known, 0.0).sum(dim=1) / known.sum(dim=1)


def masked_max(tokens: Tokens) -> Tensor:
    """Return the largest value ``(B, W)`` over the tokens that are no padding."""
    if tokens.padding is None:
        return tokens.values.amax(dim=1)
    return tokens.values.masked_fill(tokens.padding[:, :, None], -float("inf")).amax(dim=1)
