"""Tasks with exclusive classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from jlrun.ranges import Fraction
from jlrun.tasks.base import Task
from jlrun.tasks.row_logits import check_row_logits

if TYPE_CHECKING:
    from torchmetrics import Metric


class Multiclass(Task):
    """One of C classes: cross-entropy on C logits, target int64 ``(B,)``.

    Args:
        label_smoothing: share of the target spread evenly over the classes.
    """

    primary = "accuracy"

    def __init__(self, label_smoothing: Fraction = 0.0) -> None:
        self.label_smoothing = label_smoothing

    def num_outputs(self, classes: tuple[str, ...]) -> int:
        return len(classes)

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        check_row_logits(logits)
        return F.cross_entropy(
            logits, target, reduction="none", label_smoothing=self.label_smoothing
        )

    def probabilities(self, logits: Tensor) -> Tensor:
        return logits.softmax(dim=1)

    def decide(self, probabilities: Tensor) -> Tensor:
        return probabilities.argmax(dim=1)

    def metrics(self, classes: tuple[str, ...]) -> dict[str, Metric]:
        return classification_metrics(len(classes))

    def invalid(self, targets: Tensor, classes: tuple[str, ...]) -> str:
        return _outside(targets, len(classes))


class Binary(Task):
    """Yes or no: binary cross-entropy on one logit, target int64 0 or 1, ``(B,)``.

    Its probabilities are those of both classes, ``(B, 2)``.
    """

    primary = "accuracy"

    def num_outputs(self, classes: tuple[str, ...]) -> int:
        return 1

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        check_row_logits(logits)
        return F.binary_cross_entropy_with_logits(
            logits[:, 0], target.to(logits.dtype), reduction="none"
        )

    def probabilities(self, logits: Tensor) -> Tensor:
        return torch.cat([-logits, logits], dim=1).sigmoid()

    def decide(self, probabilities: Tensor) -> Tensor:
        return probabilities.argmax(dim=1)

    def metrics(self, classes: tuple[str, ...]) -> dict[str, Metric]:
        return classification_metrics(2)

    def invalid(self, targets: Tensor, classes: tuple[str, ...]) -> str:
        return _outside(targets, 2)


def classification_metrics(num_classes: int) -> dict[str, Metric]:
    """Metrics of a target with ``num_classes`` exclusive classes."""
    from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

    from jlrun.metrics import MulticlassOccurringAUROC

    return {
        "accuracy": MulticlassAccuracy(num_classes, average="micro"),
        "mean_class_accuracy": MulticlassAccuracy(num_classes, average="macro"),
        "macro_f1": MulticlassF1Score(num_classes, average="macro"),
        "auroc": MulticlassOccurringAUROC(num_classes),
    }


def _outside(targets: Tensor, num_classes: int) -> str:
    wrong = targets[(targets < 0) | (targets >= num_classes)]
    if not len(wrong):
        return ""
    return (
        f"{len(wrong)} labels are outside 0..{num_classes - 1}, for example {int(wrong[0])} "
        f"at row {int((targets == wrong[0]).nonzero()[0, 0])}"
    )
