"""Metric of the toy problem, in a separate module because importing torchmetrics takes long."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric


class MeanOfColumn(Metric):
    """The mean over rows of one of the outputs ``(B, D)``, whatever the targets are.

    Args:
        column: which of the D.
    """

    full_state_update = False
    sums: Tensor  # of the column, and the number of rows

    def __init__(self, column: int) -> None:
        super().__init__()
        self._column = column
        self.add_state("sums", torch.zeros(2, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, predictions: Tensor, target: Tensor) -> None:
        column = predictions[:, self._column].double()
        self.sums += torch.stack([column.sum(), torch.tensor(float(len(column)))])

    def compute(self) -> Tensor:
        return self.sums[0] / self.sums[1]
