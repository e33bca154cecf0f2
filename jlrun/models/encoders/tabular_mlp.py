"""MLP on the cells of a table's row."""

from __future__ import annotations

from collections.abc import Sequence

from jlrun.data.specs import TabularSpec
from jlrun.models.encoders.embedded_mlp import EmbeddedMLP
from jlrun.ranges import Fraction, PositiveInt


class TabularMLP(EmbeddedMLP):
    """Linear layers with ReLU on numbers, flags of missing ones and embedded categories.

    The MLP of Gorishniy et al., "Revisiting Deep Learning Models for Tabular Data", NeurIPS 2021,
    eq. (1). Differs from it in: a missing number is 0, the mean, with a flag; a missing or unknown
    category has its own embedding; embeddings begin small and move fast (`CategoryEmbedding`).

    Args:
        spec: cells ``(N + C,)``.
        hidden: units of each layer; the last is the width of the features ``(B, hidden[-1])``.
            Without any layer the features are the inputs of the first one.
        embedding: width of a category's embedding.
        dropout: share of each layer's units that are dropped in training.
    """

    def __init__(
        self,
        spec: TabularSpec,
        hidden: Sequence[PositiveInt] = (256, 256),
        embedding: PositiveInt = 16,
        dropout: Fraction = 0.0,
    ) -> None:
        super().__init__(spec, None, 1, hidden, embedding, dropout)
