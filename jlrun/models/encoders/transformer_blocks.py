"""Blocks of pre-norm transformers, under timm's names."""

# B rows, T tokens, D width

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from jlrun.errors import UserError

LAYER_NORM_EPS = 1e-6  # of the published models, and of torchvision's and timm's
MLP_RATIO = 4


def check_heads(where: str, width: int, heads: int) -> None:
    """Check that heads of attention share a width evenly.

    Args:
        where: config path of the encoder or fusion.
        width: D of the tokens.
        heads: of the attention.

    Raises:
        UserError: if not.
    """
    if width % heads:
        raise UserError.of(
            f"{where}.heads",
            f"{heads} heads can't share a width of {width} evenly; set heads to a divisor of "
            f"{where}.width",
        )


class Block(nn.Module):
    """Attention and an MLP, each on normalised tokens and added to them.

    Args:
        width: D of the tokens.
        heads: of the attention; they divide ``width``.
        dropout: share of what is added that is dropped in training.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.mlp = Perceptron(width, MLP_RATIO * width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, padding: Tensor | None = None) -> Tensor:
        """Return ``(B, T, D)`` of ``(B, T, D)``; ``padding`` as in `Attention`."""
        tokens = tokens + self.dropout(self.attn(self.norm1(tokens), padding))
        return tokens + self.dropout(self.mlp(self.norm2(tokens)))


class Attention(nn.Module):
    """Self-attention of several heads; queries, keys and values come from one linear layer.

    Args:
        width: D of the tokens.
        heads: they divide ``width``.
        dropout: share of the attention that is dropped in training.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor, padding: Tensor | None = None) -> Tensor:
        """Return ``(B, T, D)`` of ``(B, T, D)``.

        Args:
            tokens: at least one in each row is not padding.
            padding: Bool ``(B, T)``, true for tokens that are not attended to; None: all are.
        """
        count, length, width = tokens.shape
        split = self.qkv(tokens).view(count, length, 3, self.heads, width // self.heads)
        q, k, v = split.permute(2, 0, 3, 1, 4)
        seen = None if padding is None else ~padding[:, None, None, :]
        with deterministic_attention(tokens):
            dropped = self.dropout if self.training else 0.0
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen, dropout_p=dropped)
        return self.proj(mixed.transpose(1, 2).reshape(count, length, width))


def deterministic_attention(tokens: Tensor) -> AbstractContextManager[object]:
    """Return a context in which attention to ``tokens`` is deterministic where that is asked for.

    The fused kernels add gradients up in any order on CUDA, even where only a warning is wanted.
    """
    if tokens.is_cuda and torch.are_deterministic_algorithms_enabled():
        return sdpa_kernel(SDPBackend.MATH)
    return nullcontext()


class Perceptron(nn.Module):
    """Two linear layers with a GELU between them.

    Args:
        width: D of what it reads and returns.
        hidden: units between the layers.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(..., D)`` of ``(..., D)``."""
        return self.fc2(F.gelu(self.fc1(x)))
