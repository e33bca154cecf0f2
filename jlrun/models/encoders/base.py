"""Base class of encoders, their tokens and stages, and the sequences that they read or yield."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Tokens:
    """Output of an encoder before pooling: a sequence for each row.

    Attributes:
        values: ``(B, T, W)``.
        padding: Bool ``(B, T)``, true where there is no token; every row has at least one token.
            None: there is no padding.
    """

    values: Tensor
    padding: Tensor | None = None


@dataclass(frozen=True)
class Stage:
    """Stage of an encoder, after which tasks may exchange features or branch.

    Attributes:
        run: output of the previous stage (or inputs) -> ``(B, channels, ...)``.
        channels: of its output.
    """

    run: Callable[[Tensor], Tensor]
    channels: int


class Encoder(nn.Module, ABC):
    """Encoder: maps the inputs of one modality to features.

    Constructors take the modality's spec first, then what the config may set. ``out_features`` is
    the width D of the features.
    """

    out_features: int

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Return features ``(B, D)`` of inputs ``(B, ...)``; B may be 1.

        Encoders for dense tasks return maps ``(B, D, h, w)``.
        """

    @property
    def token_features(self) -> int:
        """Width W of the tokens."""
        return self.out_features

    def encode_tokens(self, x: Tensor) -> Tokens:
        """Return the sequence that the features are pooled from, for fusions that attend.

        An encoder without a sequence has one token, its features.
        """
        return Tokens(self(x)[:, None])

    def pool(self, tokens: Tokens) -> Tensor:
        """Return the features ``(B, D)`` of the output of `encode_tokens`: those of `forward`."""
        return tokens.values[:, 0]

    def stages(self) -> Sequence[Stage]:
        """Return the stages of the encoder: run in this order they are `forward`."""
        return (Stage(self, self.out_features),)


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
    marks = (missing & ~padding[:, :, None]).to(x.dtype)
    return torch.cat([x.masked_fill(missing, 0.0), marks], dim=2), padding


def tokens_of_maps(maps: Tensor) -> Tokens:
    """Return the positions ``(B, h·w, C)`` of maps ``(B, C, h, w)``, row by row."""
    return Tokens(maps.flatten(2).mT)


def maps_of_tokens(tokens: Tokens, size: tuple[int, int]) -> Tensor:
    """Return maps ``(B, C, *size)`` of what `tokens_of_maps` made of them."""
    return tokens.values.mT.unflatten(2, size)
