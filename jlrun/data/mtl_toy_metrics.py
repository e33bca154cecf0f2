"""The metric of the toy problem, kept apart because importing torchmetrics takes long."""

from __future__ import annotations

from torch import Tensor
from torchmetrics import MeanMetric


class MeanOfColumn(MeanMetric):
    """The mean over rows of one of the outputs ``(B, D)``, whatever the targets are.

    Args:
        column: which of the D.
    """

    def __init__(self, column: int) -> None:
        super().__init__()
        self._column = column

    def update(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, preds: Tensor, target: Tensor
    ) -> None:
        super().update(preds[:, self._column])
