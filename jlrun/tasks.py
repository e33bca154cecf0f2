"""A task: how many outputs its head has, its loss, its predictions and its metrics.

Heads yield logits of shape ``(B, num_outputs)`` for every kind of task.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from jlrun.ranges import Fraction

if TYPE_CHECKING:
    from torchmetrics import Metric

SMALLER_IS_BETTER = frozenset({"loss", "mae"})


class Task(ABC):
    """What is learned: the kind of target, its loss and its metrics.

    ``primary`` names the metric that stands for the task in a mean over tasks; larger is better.
    """

    primary: ClassVar[str]

    @abstractmethod
    def num_outputs(self, classes: tuple[str, ...]) -> int:
        """Number of logits for a target with these classes."""

    @abstractmethod
    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each row, ``(B,)``, from ``(B, num_outputs)`` and the target."""

    @abstractmethod
    def probabilities(self, logits: Tensor) -> Tensor:
        """Return the prediction as averaged by ensembles: probabilities, or values in regression.

        Of the shape of ``logits``.
        """

    @abstractmethod
    def decide(self, probabilities: Tensor) -> Tensor:
        """Return the predicted target of each row, in the form of the target column."""

    @abstractmethod
    def metrics(self, classes: tuple[str, ...]) -> dict[str, Metric]:
        """Return fresh metrics, updated with ``(probabilities, target)``."""

    @abstractmethod
    def invalid(self, targets: Tensor, classes: tuple[str, ...]) -> str:
        """Say what is wrong with a column of targets; an empty string if nothing is."""


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


class Multilabel(Task):
    """Any of C labels: the mean binary cross-entropy over labels, target float32 0/1 ``(B, C)``."""

    primary = "macro_f1"

    def num_outputs(self, classes: tuple[str, ...]) -> int:
        return len(classes)

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(dim=1)

    def probabilities(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()

    def decide(self, probabilities: Tensor) -> Tensor:
        return (probabilities > 0.5).float()

    def metrics(self, classes: tuple[str, ...]) -> dict[str, Metric]:
        from torchmetrics.classification import MultilabelAccuracy, MultilabelF1Score

        from jlrun.metrics import MultilabelOccurringAUROC

        count = len(classes)
        return {
            "accuracy": MultilabelAccuracy(count, average="micro"),
            "macro_f1": MultilabelF1Score(count, average="macro"),
            "auroc": MultilabelOccurringAUROC(count),
        }

    def invalid(self, targets: Tensor, classes: tuple[str, ...]) -> str:
        if targets.ndim != 2 or targets.shape[1] != len(classes):
            return f"expected {len(classes)} labels per row, found shape {tuple(targets.shape)}"
        return "" if ((targets == 0) | (targets == 1)).all() else "labels must be 0 or 1"


class Regression(Task):
    """A number: squared error on one output, target float32 ``(B,)``."""

    primary = "r2"

    def num_outputs(self, classes: tuple[str, ...]) -> int:
        return 1

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(logits[:, 0], target.to(logits.dtype), reduction="none")

    def probabilities(self, logits: Tensor) -> Tensor:
        return logits

    def decide(self, probabilities: Tensor) -> Tensor:
        return probabilities[:, 0]

    def metrics(self, classes: tuple[str, ...]) -> dict[str, Metric]:
        from jlrun.metrics import FirstColumnMAE, FirstColumnR2

        return {"mae": FirstColumnMAE(), "r2": FirstColumnR2()}

    def invalid(self, targets: Tensor, classes: tuple[str, ...]) -> str:
        return "" if torch.isfinite(targets).all() else "targets must be finite numbers"


@dataclass(frozen=True)
class TaskSpec:
    """A task on a data set whose classes are known.

    Attributes:
        name: name of the target column.
        task: kind of the task.
        classes: class names, in the order of the logits; empty for regression.
    """

    name: str
    task: Task
    classes: tuple[str, ...]

    @property
    def num_outputs(self) -> int:
        return self.task.num_outputs(self.classes)

    def shares_head_with(self, other: TaskSpec) -> bool:
        """Whether the outputs of both mean the same, so that one head can serve both."""
        return type(self.task) is type(other.task) and self.classes == other.classes


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
