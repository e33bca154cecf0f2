"""Tokens of all modalities in one space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from jlrun.models.encoders.base import Tokens
from jlrun.models.fusions.presence import presence

LONGEST_WAVE = 10_000.0


@dataclass(frozen=True)
class TokenSequence:
    """Tokens of one modality, with a mask.

    Attributes:
        values: ``(B, T, W)``.
        real: Bool ``(B, T)``; false for padding and in rows that lack the modality.
    """

    values: Tensor
    real: Tensor

    def mean(self) -> Tensor:
        """Return the mean of the real tokens, ``(B, W)``; zero where there is none."""
        total = self.values.masked_fill(~self.real[:, :, None], 0.0).sum(dim=1)
        return total / self.real.sum(dim=1, keepdim=True).clamp(min=1)


class TokenEmbedding(nn.Module):
    """Projects the tokens of each modality to one width, with embeddings of modality and position.

    Each is projected, normalised (the bias of its norm is the modality's embedding) and gets the
    sinusoidal embedding of its position (Vaswani et al., "Attention Is All You Need", NeurIPS 2017,
    section 3.5), as many encoders have no positions.

    Args:
        features: modality -> width W_m of its tokens.
        width: W.
    """

    def __init__(self, features: Mapping[str, int], width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(
            {
                m: nn.Sequential(nn.Linear(w, width), nn.LayerNorm(width))
                for m, w in features.items()
            }
        )

    def forward(
        self, tokens: Mapping[str, Tokens], present: Mapping[str, Tensor]
    ) -> dict[str, TokenSequence]:
        """Return modality -> sequence, independent of tokens that are not real."""
        known = {m: tokens[m] for m in self.layers}
        masks = presence({m: t.values for m, t in known.items()}, present)
        return {
            m: self._embedded(m, t, mask)
            for (m, t), mask in zip(known.items(), masks.unbind(dim=1), strict=True)
        }

    def _embedded(self, modality: str, tokens: Tokens, mask: Tensor) -> TokenSequence:
        x = tokens.values
        real = mask[:, None].expand(x.shape[:2])
        if tokens.padding is not None:
            real = real & ~tokens.padding
        x = self.layers[modality](x.masked_fill(~real[:, :, None], 0.0))
        return TokenSequence(x + positions(x.shape[1], x), real)


def positions(count: int, like: Tensor) -> Tensor:
    """Return the embeddings ``(count, W)`` of positions from 0, for tokens ``(B, T, W)``."""
    width = like.shape[2]
    options = {"dtype": torch.float64, "device": "cpu"}
    exponents = torch.arange(0, width, 2, **options) / width
    angles = torch.arange(count, **options)[:, None] / LONGEST_WAVE**exponents
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, :width].to(like)
