"""Transformer blocks in which some tokens can be left out."""

# B rows, N tokens that read, S tokens that are read, W width

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from jlrun.errors import UserError

MLP_RATIO = 4


def require_heads(width: int, heads: int) -> None:
    """Check that the heads of an attention can share its width.

    Raises:
        UserError: if they can't.
    """
    if width % heads:
        raise UserError.of(
            "fusion.heads",
            f"{heads} heads can't share a width of {width} evenly; set heads to a divisor of "
            "fusion.width",
        )


class SelfBlock(nn.Module):
    """Attention of tokens to each other and an MLP, each on normalised tokens and added to them."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.perceptron = _perceptron(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, real: Tensor) -> Tensor:
        """Return ``(B, N, W)`` of tokens ``(B, N, W)``, of which those are read that are ``real``,
        Bool ``(B, N)``: at least one in each row."""
        normed = self.norm(tokens)
        tokens = tokens + self.dropout(self.attention(normed, normed, real))
        return tokens + self.dropout(self.perceptron(tokens))


class CrossBlock(nn.Module):
    """Attention of tokens to a context and an MLP, each on normalised tokens and added to them."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.context_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.perceptron = _perceptron(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, context: Tensor, real: Tensor) -> Tensor:
        """Return ``(B, N, W)`` of tokens ``(B, N, W)`` that read those of the context
        ``(B, S, W)`` that are ``real``, Bool ``(B, S)``: at least one in each row."""
        read = self.attention(self.norm(tokens), self.context_norm(context), real)
        tokens = tokens + self.dropout(read)
        return tokens + self.dropout(self.perceptron(tokens))


class Attention(nn.Module):
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
        self.out = nn.Linear(width, width)

    def forward(self, tokens: Tensor, context: Tensor, real: Tensor) -> Tensor:
        """Return ``(B, N, W)`` of ``(B, N, W)``, ``(B, S, W)`` and Bool ``(B, S)``."""
        key, value = self.key_value(context).chunk(2, dim=2)
        query, key, value = (self._by_head(x) for x in (self.query(tokens), key, value))
        with _deterministic_attention(tokens):
            read = F.scaled_dot_product_attention(query, key, value, real[:, None, None])
        return self.out(read.transpose(1, 2).flatten(2))

    def _by_head(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)


def _deterministic_attention(tokens: Tensor) -> AbstractContextManager[object]:
    # The fused kernels add gradients up in any order on CUDA, even where only a warning is wanted.
    if tokens.is_cuda and torch.are_deterministic_algorithms_enabled():
        return sdpa_kernel(SDPBackend.MATH)
    return nullcontext()


def _perceptron(width: int) -> nn.Module:
    return nn.Sequential(
        nn.LayerNorm(width),
        nn.Linear(width, MLP_RATIO * width),
        nn.GELU(),
        nn.Linear(MLP_RATIO * width, width),
    )


def learned_tokens(count: int, width: int) -> nn.Parameter:
    """Return tokens ``(1, count, width)`` that are small and unlike each other."""
    return nn.Parameter(0.02 * torch.randn(1, count, width))
