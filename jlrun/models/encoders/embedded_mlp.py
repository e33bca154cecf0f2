"""Base of the MLPs on a table's cells: how numbers and categories become vectors."""

# B rows, N numbers, C categories, W width of an embedding

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn

from jlrun.data.specs import TabularSpec
from jlrun.models.encoders.base import Encoder, Stage

# Vectors of categories per unit of their parameters, so that a rate of other layers suits them.
_GAIN = 10.0
_STD = 0.01  # of the parameters, at first


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


def read_numbers(x: Tensor, spec: TabularSpec) -> tuple[Tensor, Tensor]:
    """Return the numbers ``(B, N)`` of cells ``(B, N + C)``, 0 where one is missing, and where.

    Standardised, 0 is the mean. The second is Bool ``(B, N)``.
    """
    numbers = x[:, : len(spec.numbers)]
    missing = numbers.isnan()
    return numbers.masked_fill(missing, 0.0), missing


class CategoryEmbedding(nn.Module):
    """Vector for each level of each categorical column, and for a missing or unknown one.

    All lie in one table; those of a column begin at its offset.

    Vectors are parameters times a gain, and begin small. Adam moves the parameters of a level that
    is in a share p of the batches by at most rate · √p a step, whatever the size of its gradients:
    by 0.15 within 1,000 steps of 0.0005 where p = 0.085, as of a level with two of 1,500 rows in
    batches of 64. Vectors of unit variance would stay the random codes that they begin as.

    Args:
        spec: of the cells.
        width: W of a vector.
        gain: vectors per unit of the parameters.
    """

    offsets: Tensor

    def __init__(self, spec: TabularSpec, width: int, gain: float = _GAIN) -> None:
        super().__init__()
        self.first = len(spec.numbers)
        self.width, self.gain = width, gain
        sizes = [len(levels) + 1 for levels in spec.levels]
        self.table = nn.Embedding(sum(sizes), width) if sizes else None
        if self.table is not None:
            nn.init.normal_(self.table.weight, std=_STD)
        offsets = torch.tensor([0, *accumulate(sizes)][:-1], dtype=torch.long)
        # Not in checkpoints: they follow from the spec.
        self.register_buffer("offsets", offsets, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, C, W)`` of cells ``(B, N + C)``."""
        if self.table is None:
            return x.new_zeros(x.shape[0], 0, self.width)
        return self.gain * self.table(x[:, self.first :].long() + self.offsets)
