"""Attention of fusions: tokens of all modalities in one space, and blocks that read them."""

# B rows, N tokens that read, S tokens that are read, W width

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.models.encoders.base import Tokens
from jlrun.models.encoders.transformer import (
    LAYER_NORM_EPS,
    MLP_RATIO,
    Perceptron,
    deterministic_attention,
)
from jlrun.models.fusions.base import presence


class CrossBlock(nn.Module):
    """Attention of tokens to a context and an MLP, each on normalised tokens and added to them.

    Args:
        width: W.
        heads: of the attention; they divide ``width``.
        dropout: share of what is added that is dropped in training.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.context_norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.attn = CrossAttending(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.mlp = Perceptron(width, MLP_RATIO * width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, context: Tensor, real: Tensor) -> Tensor:
        """Return ``(B, N, W)`` of tokens ``(B, N, W)`` that read those of the context
        ``(B, S, W)`` that are ``real``, Bool ``(B, S)``: at least one in each row."""
        read = self.attn(self.norm1(tokens), self.context_norm(context), real)
        tokens = tokens + self.dropout(read)
        return tokens + self.dropout(self.mlp(self.norm2(tokens)))


class CrossAttending(nn.Module):
    """Attention of several heads from tokens to a context.

    Args:
        width: W.
        heads: they divide it.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor, context: Tensor, real: Tensor) -> Tensor:
        """Return ``(B, N, W)`` of ``(B, N, W)``, ``(B, S, W)`` and Bool ``(B, S)``."""
        key, value = self.key_value(context).chunk(2, dim=2)
        query, key, value = (self._by_head(x) for x in (self.query(tokens), key, value))
        with deterministic_attention(tokens):
            read = F.scaled_dot_product_attention(query, key, value, real[:, None, None])
        return self.proj(read.transpose(1, 2).flatten(2))

    def _by_head(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)


def learned_tokens(count: int, width: int) -> nn.Parameter:
    """Return small random tokens ``(1, count, width)``."""
    return nn.Parameter(0.02 * torch.randn(1, count, width))


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
