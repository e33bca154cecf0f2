"""MLP on a table's cells, with piecewise linear embeddings of the numbers."""

# B rows, N numbers, C categories, T bins of a number at most, W width of a number's embedding

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from jlrun.data.specs import TabularSpec
from jlrun.models.encoders.embedded_mlp import EmbeddedMLP
from jlrun.ranges import Fraction, NonNegativeInt, PositiveInt


class NumberEmbedding(nn.Module):
    """Vector for each number: a line, and a slope of its own in each bin.

    Piecewise linear encoding of Gorishniy et al., "On Embeddings for Numerical Features in Tabular
    Deep Learning", NeurIPS 2022, eq. (1), with bins between quantiles of the training rows, through
    a linear layer of each number that begins at 0, next to a line. Differs from it in: beyond the
    outermost quantiles the slopes of bins end, and the line alone goes on.

    Args:
        spec: of the cells; without edges the embedding is the line.
        width: W.
    """

    left: Tensor
    size: Tensor
    real: Tensor

    def __init__(self, spec: TabularSpec, width: int) -> None:
        super().__init__()
        count = len(spec.numbers)
        edges = [
            [(edge - mean) / std for edge in column]
            for column, mean, std in zip(
                spec.edges or ((),) * count, spec.mean, spec.std, strict=True
            )
        ]
        bins = max((len(column) - 1 for column in edges), default=0)
        left, size, real = torch.zeros(3, count, max(bins, 0))
        size += 1
        for i, column in enumerate(edges):
            for t, (start, end) in enumerate(pairwise(column)):
                left[i, t], size[i, t], real[i, t] = start, end - start, 1.0
        # Not in checkpoints: they follow from the spec.
        self.register_buffer("left", left, persistent=False)
        self.register_buffer("size", size, persistent=False)
        self.register_buffer("real", real, persistent=False)
        self.slope = nn.Parameter(torch.randn(count, width))
        self.offset = nn.Parameter(torch.randn(count, width))
        self.bins = nn.Parameter(torch.zeros(count, bins, width)) if bins > 0 else None

    def forward(self, numbers: Tensor, missing: Tensor) -> Tensor:
        """Return ``(B, N, W)`` of standardised numbers ``(B, N)``; 0 where one is missing."""
        found = numbers[:, :, None] * self.slope + self.offset
        if self.bins is not None:
            shares = ((numbers[:, :, None] - self.left) / self.size).clamp(0, 1) * self.real
            found = found + torch.einsum("bnt,ntw->bnw", shares, self.bins)
        return found.masked_fill(missing[:, :, None], 0.0)


class PiecewiseMLP(EmbeddedMLP):
    """Linear layers with ReLU on embedded numbers, flags of missing ones and embedded categories.

    Numbers are embedded by `NumberEmbedding`; a missing number is a vector of zeros, with a flag,
    and a missing or unknown category has its own embedding.

    Args:
        spec: cells ``(N + C,)``.
        numbers: width of a number's embedding; 0: the standardised number itself.
        hidden: units of each layer; the last is the width of the features ``(B, hidden[-1])``.
            Without any layer the features are the inputs of the first one.
        embedding: width of a category's embedding.
        dropout: share of each layer's units that are dropped in training.
    """

    def __init__(
        self,
        spec: TabularSpec,
        numbers: NonNegativeInt = 12,
        hidden: Sequence[PositiveInt] = (256, 256),
        embedding: PositiveInt = 16,
        dropout: Fraction = 0.1,
    ) -> None:
        embedded = NumberEmbedding(spec, numbers) if spec.numbers and numbers else None
        super().__init__(spec, embedded, numbers or 1, hidden, embedding, dropout)
