"""The metrics of torchmetrics, adapted to what tasks yield.

Kept apart from `jlrun.tasks` because importing torchmetrics takes longer than a small run's epoch.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor
from torchmetrics import MeanAbsoluteError, R2Score
from torchmetrics.classification import MulticlassAUROC, MultilabelAUROC
from torchmetrics.utilities import dim_zero_cat


class MulticlassOccurringAUROC(MulticlassAUROC):
    """Area under the ROC curve, one class against the rest, averaged over classes that occur.

    torchmetrics counts a class without a positive row as 0, which is a property of the sample and
    not of the model.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes, average="none")

    def compute(self) -> Tensor:
        target = dim_zero_cat(self.target)  # pyright: ignore[reportArgumentType]
        counts = torch.bincount(target, minlength=self.num_classes)
        return _mean_over(_quiet(super().compute), (counts > 0) & (counts < len(target)))


class MultilabelOccurringAUROC(MultilabelAUROC):
    """Area under the ROC curve of each label, averaged over labels that occur."""

    def __init__(self, num_labels: int) -> None:
        super().__init__(num_labels, average="none")

    def update(self, preds: Tensor, target: Tensor) -> None:
        super().update(preds, target.long())

    def compute(self) -> Tensor:
        target = dim_zero_cat(self.target)  # pyright: ignore[reportArgumentType]
        counts = target.sum(dim=0)
        return _mean_over(_quiet(super().compute), (counts > 0) & (counts < len(target)))


class FirstColumnMAE(MeanAbsoluteError):
    """Mean absolute error of outputs ``(B, 1)`` against targets ``(B,)``."""

    def update(self, preds: Tensor, target: Tensor) -> None:
        super().update(preds[:, 0], target)


class FirstColumnR2(R2Score):
    """Coefficient of determination of outputs ``(B, 1)`` against targets ``(B,)``.

    Not a number for fewer than two rows.
    """

    def update(self, preds: Tensor, target: Tensor) -> None:
        super().update(preds[:, 0], target)

    def compute(self) -> Tensor:
        if int(self.total) < 2:  # pyright: ignore[reportArgumentType]
            return torch.tensor(float("nan"))
        return super().compute()


def _quiet(compute: Callable[[], Tensor]) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compute()


def _mean_over(values: Tensor, mask: Tensor) -> Tensor:
    return values[mask].mean()
