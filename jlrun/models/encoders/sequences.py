"""Sequences that encoders read or yield: padding, pooling, steps of series, positions of maps."""

from __future__ import annotations

import torch
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


def read_steps(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the inputs of encoders for series ``(B, T, C)``, and which steps are padding.

    Returns:
        ``(B, T, 2C)``: the values, 0 (the mean of standardised ones) where one is missing, then
        flags of missing ones; all 0 in padding.
        Bool ``(B, T)``: the steps after the last one with a value. The first is never padding.
    """
    missing = x.isnan()
    seen = (~missing).any(dim=2)
    # how many of the steps from here on have a value
    padding = seen.flip(1).int().cumsum(dim=1).flip(1) == 0
    padding[:, 0] = False
    marks = missing.masked_fill(padding[:, :, None], False).to(x.dtype)
    return torch.cat([x.masked_fill(missing, 0.0), marks], dim=2), padding


def tokens_of_maps(maps: Tensor) -> Tokens:
    """Return the positions ``(B, h·w, C)`` of maps ``(B, C, h, w)``, row by row."""
    return Tokens(maps.flatten(2).mT)


def maps_of_tokens(tokens: Tokens, size: tuple[int, int]) -> Tensor:
    """Return maps ``(B, C, *size)`` of what `tokens_of_maps` made of them."""
    return tokens.values.mT.unflatten(2, size)
