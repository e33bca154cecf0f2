"""Base of encoders of a table's cells that embed each number: an MLP on the vectors."""

# B rows, N numbers, C categories, W width of a number's embedding

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from jlrun.data.specs import TabularSpec
from jlrun.models.encoders.base import Encoder, Stage
from jlrun.models.encoders.tabular_mlp import CategoryEmbedding, read_numbers


class EmbeddedMLP(Encoder):
    """Linear layers with ReLU on embedded numbers, flags of missing ones and embedded categories.

    Args:
        spec: cells ``(N + C,)``.
        numbers: from standardised numbers and where they are missing, both ``(B, N)``, to vectors
            ``(B, N, W)``; None: the standardised numbers themselves.
        number_width: W; 1 without ``numbers``.
        hidden: units of each layer; the last is the width of the features ``(B, hidden[-1])``.
            Without any layer the features are the inputs of the first one.
        embedding: width of a category's embedding.
        dropout: share of each layer's units that are dropped in training.
    """

    def __init__(
        self,
        spec: TabularSpec,
        numbers: nn.Module | None,
        number_width: int,
        hidden: Sequence[int],
        embedding: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.numbers = numbers
        self.categories = CategoryEmbedding(spec, embedding)
        width = len(spec.numbers) * (1 + number_width) + embedding * len(spec.categories)
        widths = [width, *hidden]
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
        embedded = numbers if self.numbers is None else self.numbers(numbers, missing).flatten(1)
        return torch.cat([embedded, missing.to(x.dtype), self.categories(x).flatten(1)], dim=1)
