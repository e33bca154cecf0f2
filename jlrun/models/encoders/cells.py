"""Cells of a table's row for encoders: numbers, some of them missing, and categories."""

# B rows, N numbers, C categories, W width of an embedding

from __future__ import annotations

from itertools import accumulate

import torch
from torch import Tensor, nn

from jlrun.data.specs import TabularSpec


def read_numbers(x: Tensor, spec: TabularSpec) -> tuple[Tensor, Tensor]:
    """Return the numbers ``(B, N)`` of cells ``(B, N + C)``, 0 where one is missing, and where.

    Standardised, 0 is the mean. The second is Bool ``(B, N)``.
    """
    numbers = x[:, : len(spec.numbers)]
    missing = numbers.isnan()
    return numbers.masked_fill(missing, 0.0), missing


class CategoryEmbedding(nn.Module):
    """A vector for each level of each categorical column, and for a missing or unknown one.

    All lie in one table; those of a column begin at its offset.

    Args:
        spec: of the cells.
        width: W of a vector.
    """

    offsets: Tensor

    def __init__(self, spec: TabularSpec, width: int) -> None:
        super().__init__()
        self.first = len(spec.numbers)
        self.width = width
        sizes = [len(levels) + 1 for levels in spec.levels]
        self.table = nn.Embedding(sum(sizes), width) if sizes else None
        offsets = torch.tensor([0, *accumulate(sizes)][:-1], dtype=torch.long)
        # Not in checkpoints: they follow from the spec.
        self.register_buffer("offsets", offsets, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, C, W)`` of cells ``(B, N + C)``."""
        if self.table is None:
            return x.new_zeros(len(x), 0, self.width)
        return self.table(x[:, self.first :].long() + self.offsets)
