"""Cross-attention of tokens to a context with a mask."""

# B rows, N tokens that read, S tokens that are read, W width

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.models.encoders.transformer import (
    LAYER_NORM_EPS,
    MLP_RATIO,
    Perceptron,
    deterministic_attention,
)


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
