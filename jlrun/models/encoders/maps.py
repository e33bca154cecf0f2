"""Maps as sequences of their positions, and back."""

from __future__ import annotations

from torch import Tensor

from jlrun.models.encoders.base import Tokens


def tokens_of_maps(maps: Tensor) -> Tokens:
    """Return the positions ``(B, h·w, C)`` of maps ``(B, C, h, w)``, row by row."""
    return Tokens(maps.flatten(2).mT)


def maps_of_tokens(tokens: Tokens, size: tuple[int, int]) -> Tensor:
    """Return maps ``(B, C, *size)`` of what `tokens_of_maps` made of them."""
    return tokens.values.mT.unflatten(2, size)
