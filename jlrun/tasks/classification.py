"""Classification: exclusive classes, and labels that may occur together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import Literal, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from jlrun.ranges import Fraction
from jlrun.tasks.base import Metric, Task, TaskSpec, check_row_logits
from jlrun.tasks.loss_options import ClassLoss, focal_factor, weighted
from jlrun.wording import counted

_BITS = 40  # of a log-odds
AnyClassification = TypeVar("AnyClassification", "Multiclass", "Binary")
AnyLabels = TypeVar("AnyLabels", bound="Binary | Multilabel")
ClassMetric = Literal["accuracy", "mean_class_accuracy", "macro_f1", "weighted_f1", "auroc"]


class Multiclass(Task):
    """One of C classes: cross-entropy on C logits, target int64 ``(B,)``.

    Args:
        label_smoothing: share of the target spread evenly over the classes.
        metric: primary metric, for selection and Δm; None: accuracy.
        loss: class weights and focal loss; None: none.
    """

    primary = "accuracy"

    def __init__(
        self,
        label_smoothing: Fraction = 0.0,
        metric: ClassMetric | None = None,
        loss: ClassLoss | None = None,
    ) -> None:
        self.label_smoothing = max(label_smoothing, loss.label_smoothing if loss else 0.0)
        self.options = loss or ClassLoss()
        self.prefer(metric)

    def in_units(self, mean: float, std: float, *scale: float) -> Multiclass:
        return _with_weights(self, scale)

    def num_outputs(self, classes: tuple[str, ...]) -> int:
        return len(classes)

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        check_row_logits(logits)
        losses = F.cross_entropy(
            logits, target, reduction="none", label_smoothing=self.label_smoothing
        )
        if self.options.focal:
            own = logits.log_softmax(dim=1).gather(1, target[:, None])[:, 0]
            losses = losses * focal_factor(own, self.options.focal)
        return weighted(losses, target, self.scale)

    def probabilities(self, logits: Tensor) -> Tensor:
        return logits.softmax(dim=1)

    def log_odds(self, logits: Tensor) -> Tensor | None:
        return class_log_odds(logits)

    def decide(self, probabilities: Tensor) -> Tensor:
        return most_probable(probabilities)

    def metrics(self, classes: tuple[str, ...]) -> dict[str, Metric]:
        return classification_metrics(len(classes), self.decide)

    def invalid(self, targets: Tensor, classes: tuple[str, ...]) -> str:
        return outside(targets, len(classes))


class Binary(Task):
    """Yes or no: binary cross-entropy on one logit, target int64 0 or 1, ``(B,)``.

    Its probabilities are those of both classes, ``(B, 2)``. ``thresholds`` holds the probability
    of *yes* above which it is predicted; empty: 0.5.

    Args:
        metric: primary metric, for selection and Δm; None: accuracy.
        loss: class weights, focal loss and label smoothing; None: none.
    """

    primary = "accuracy"
    thresholds: tuple[float, ...] = ()

    def __init__(self, metric: ClassMetric | None = None, loss: ClassLoss | None = None) -> None:
        self.options = loss or ClassLoss()
        self.prefer(metric)

    def in_units(self, mean: float, std: float, *scale: float) -> Binary:
        return _with_weights(self, scale)

    def num_outputs(self, classes: tuple[str, ...]) -> int:
        return 1

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        check_row_logits(logits)
        z, y, smoothing = logits[:, 0], target.to(logits.dtype), self.options.label_smoothing
        losses = F.binary_cross_entropy_with_logits(
            z, y * (1 - smoothing) + smoothing / 2 if smoothing else y, reduction="none"
        )
        if self.options.focal:
            losses = losses * focal_factor(F.logsigmoid(z * (2 * y - 1)), self.options.focal)
        return weighted(losses, target.long(), self.scale)

    def probabilities(self, logits: Tensor) -> Tensor:
        return self.log_odds(logits).sigmoid()

    def log_odds(self, logits: Tensor) -> Tensor:
        return torch.cat([-logits, logits], dim=1)

    def decide(self, probabilities: Tensor) -> Tensor:
        if not self.thresholds:
            return most_probable(probabilities)
        return (probabilities[:, 1] > self.thresholds[0]).long()

    def metrics(self, classes: tuple[str, ...]) -> dict[str, Metric]:
        return classification_metrics(2, self.decide)

    def invalid(self, targets: Tensor, classes: tuple[str, ...]) -> str:
        return outside(targets, 2)


def deciding_by(task: AnyLabels, thresholds: Sequence[float]) -> AnyLabels:
    """Return a task that decides by these thresholds, of *yes* or of each label; empty: 0.5."""
    found = copy(task)
    found.thresholds = tuple(thresholds)
    return found


def _with_weights(task: AnyClassification, weights: tuple[float, ...]) -> AnyClassification:
    """Return a task with the weights of its classes."""
    found = copy(task)
    found.scale = weights
    return found


def most_probable(probabilities: Tensor) -> Tensor:
    """Return the class with the largest probability, ``(B,)``, of ``(B, C)``."""
    return probabilities.argmax(dim=1)


def classification_metrics(
    num_classes: int, decide: Callable[[Tensor], Tensor] = most_probable
) -> dict[str, Metric]:
    """Metrics of a target with exclusive classes.

    Args:
        num_classes: C.
        decide: probabilities ``(B, C)`` -> predicted classes ``(B,)``.
    """
    from jlrun.tasks.metrics.accumulators import ClassAUROC, ClassScores

    return {"classes": ClassScores(num_classes, decide), "auroc": ClassAUROC(num_classes)}


def has_classes(task: Task) -> bool:
    """Whether a row has one of several classes, or some of several labels."""
    return isinstance(task, Multiclass | Binary | Multilabel)


def has_exclusive_classes(task: Task) -> bool:
    """Whether a row has one of several classes."""
    return isinstance(task, Multiclass | Binary)


def num_classes(spec: TaskSpec) -> int:
    """Return C of a task with exclusive classes; 2 if it is `Binary`."""
    return 2 if isinstance(spec.task, Binary) else len(spec.classes)


def class_log_probabilities(task: Task, logits: Tensor) -> Tensor:
    """Return log p ``(B, C)``, float32 at least, of a `Multiclass` or `Binary` task (C = 2)."""
    z = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if isinstance(task, Multiclass):
        return z.log_softmax(dim=1)
    assert isinstance(task, Binary)
    return F.logsigmoid(z.new_tensor([[-1.0, 1.0]]) * z[:, :1])


def class_log_odds(logits: Tensor) -> Tensor:
    """Return z_k − log Σ_{j≠k} exp(z_j) of logits z ``(B, C)``, infinite for a single class.

    Values are rounded to 40 bits, so that equal rows get equal values at any place in a batch.
    """
    z, top = logits - logits.amax(dim=1, keepdim=True), logits.argmax(dim=1, keepdim=True)
    share = z.exp()
    rest = (share.sum(dim=1, keepdim=True) - share).clamp(min=1).log()
    others = z.scatter(1, top, -torch.inf).logsumexp(dim=1, keepdim=True)
    mantissa, exponent = (z - rest.scatter(1, top, others)).frexp()
    return (mantissa * 2**_BITS).round().ldexp(exponent - _BITS)


def outside(targets: Tensor, num_classes: int) -> str:
    """Return which labels are no class; an empty string if all are."""
    wrong = targets[(targets < 0) | (targets >= num_classes)]
    if not len(wrong):
        return ""
    return (
        f"{counted(len(wrong), 'label')} outside 0..{num_classes - 1}, for example {int(wrong[0])} "
        f"at row {int((targets == wrong[0]).nonzero()[0, 0])}"
    )


class Multilabel(Task):
    """Any of C labels: the mean binary cross-entropy over labels, target float32 0/1 ``(B, C)``.

    ``thresholds`` holds the probability of each label above which it is predicted; empty: 0.5.

    Args:
        metric: primary metric, for selection and Δm; None: macro F1.
    """

    primary = "macro_f1"
    thresholds: tuple[float, ...] = ()

    def __init__(
        self, metric: Literal["accuracy", "macro_f1", "weighted_f1", "auroc"] | None = None
    ) -> None:
        self.prefer(metric)

    def num_outputs(self, classes: tuple[str, ...]) -> int:
        return len(classes)

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        check_row_logits(logits)
        return F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(dim=1)

    def probabilities(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()

    def log_odds(self, logits: Tensor) -> Tensor | None:
        return logits

    def decide(self, probabilities: Tensor) -> Tensor:
        limits = self.thresholds or (0.5,)
        return (probabilities > probabilities.new_tensor(limits)).float()

    def metrics(self, classes: tuple[str, ...]) -> dict[str, Metric]:
        from jlrun.tasks.metrics.accumulators import LabelAUROC, LabelScores

        return {"labels": LabelScores(len(classes), self.decide), "auroc": LabelAUROC()}

    def invalid(self, targets: Tensor, classes: tuple[str, ...]) -> str:
        if targets.ndim != 2 or targets.shape[1] != len(classes):
            return f"expected {len(classes)} labels per row, found shape {tuple(targets.shape)}"
        return "" if ((targets == 0) | (targets == 1)).all() else "labels must be 0 or 1"
