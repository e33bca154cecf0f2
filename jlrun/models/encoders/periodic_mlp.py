"""MLP on a table's cells, with periodic embeddings of the numbers."""

# B rows, N numbers, K frequencies of a number, W width of its embedding

from __future__ import annotations

from collections.abc import Sequence
from math import pi

import torch
from torch import Tensor, nn

from jlrun.data.specs import TabularSpec
from jlrun.models.encoders.embedded_mlp import EmbeddedMLP
from jlrun.ranges import Fraction, PositiveFloat, PositiveInt


class PeriodicEmbedding(nn.Module):
    """Vector for each number: waves of learned frequencies, through a linear layer and ReLU.

    PLR of Gorishniy et al., "On Embeddings for Numerical Features in Tabular Deep Learning",
    NeurIPS 2022, section 3.3: ReLU(Linear([cos 2πcx, sin 2πcx])), with frequencies c that begin as
    draws of N(0, σ²). Differs from it in: draws beyond 3 σ are drawn again, as in the authors'
    package ``rtdl_num_embeddings``.

    Args:
        count: N.
        width: W.
        frequencies: K.
        scale: σ, in waves per standard deviation of a column.
        shared: whether all numbers share one linear layer; else each has its own.
    """

    def __init__(
        self, count: int, width: int, frequencies: int, scale: float, *, shared: bool
    ) -> None:
        super().__init__()
        self.frequency = nn.Parameter(torch.empty(count, frequencies))
        nn.init.trunc_normal_(self.frequency, 0.0, scale, a=-3 * scale, b=3 * scale)
        layers = 1 if shared else count
        bound = (2 * frequencies) ** -0.5
        self.weight = nn.Parameter(torch.empty(layers, 2 * frequencies, width))
        self.bias = nn.Parameter(torch.empty(layers, width))
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, numbers: Tensor, missing: Tensor) -> Tensor:
        """Return ``(B, N, W)`` of standardised numbers ``(B, N)``; 0 where one is missing."""
        phase = 2 * pi * self.frequency * numbers[:, :, None]
        waves = torch.cat([phase.cos(), phase.sin()], dim=2)
        found = (waves[:, :, None] @ self.weight).squeeze(2) + self.bias
        return found.relu().masked_fill(missing[:, :, None], 0.0)


class PeriodicMLP(EmbeddedMLP):
    """Linear layers with ReLU on embedded numbers, flags of missing ones and embedded categories.

    Numbers are embedded by `PeriodicEmbedding`; a missing number is a vector of zeros, with a flag,
    and a missing or unknown category has its own embedding.

    Args:
        spec: cells ``(N + C,)``.
        numbers: width of a number's embedding.
        frequencies: waves of a number.
        scale: standard deviation of the first frequencies, in waves per standard deviation of a
            column: the larger, the less smooth are the functions that are learned first.
        shared: whether all numbers share the layer from waves to embedding.
        hidden: units of each layer; the last is the width of the features ``(B, hidden[-1])``.
            Without any layer the features are the inputs of the first one.
        embedding: width of a category's embedding.
        dropout: share of each layer's units that are dropped in training.
    """

    def __init__(
        self,
        spec: TabularSpec,
        numbers: PositiveInt = 24,
        frequencies: PositiveInt = 48,
        scale: PositiveFloat = 0.01,
        shared: bool = False,
        hidden: Sequence[PositiveInt] = (),
        embedding: PositiveInt = 16,
        dropout: Fraction = 0.1,
    ) -> None:
        count = len(spec.numbers)
        embedded = (
            PeriodicEmbedding(count, numbers, frequencies, scale, shared=shared) if count else None
        )
        super().__init__(spec, embedded, numbers, hidden, embedding, dropout)
