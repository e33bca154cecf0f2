"""MLP on the cells of a table's row."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from jlrun.data.specs import TabularSpec
from jlrun.models.encoders.base import Encoder, Stage
from jlrun.models.encoders.cells import CategoryEmbedding, read_numbers
from jlrun.ranges import Fraction, PositiveInt


class TabularMLP(Encoder):
    """Linear layers with ReLU on numbers, flags of missing ones and embedded categories.

    The MLP of Gorishniy et al., "Revisiting Deep Learning Models for Tabular Data", NeurIPS 2021,
    eq. (1). Differs from it in: a missing number is 0, the mean, with a flag; a missing or unknown
    category has its own embedding.

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
        super().__init__()
        self.spec = spec
        self.categories = CategoryEmbedding(spec, embedding)
        widths = [2 * len(spec.numbers) + embedding * len(spec.categories), *hidden]
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout))
            for before, after in pairwise(widths)
        )
        self.out_features = widths[-1]
        self._widths = widths[1:]

    def forward(self, x: Tensor) -> Tensor:
        x = self._read(x)
        for layer in self.layers:
            x = layer(x)
        return x

    def stages(self) -> Sequence[Stage]:
        """Return the layers, of which the first also reads the cells."""
        if not self.layers:
            return super().stages()
        first, *others = self.layers
        parts = (lambda x: first(self._read(x)), *others)
        return tuple(Stage(part, width) for part, width in zip(parts, self._widths, strict=True))

    def _read(self, x: Tensor) -> Tensor:
        numbers, missing = read_numbers(x, self.spec)
        return torch.cat([numbers, missing.to(x.dtype), self.categories(x).flatten(1)], dim=1)
