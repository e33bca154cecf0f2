"""Multilabel classification: any number of labels for each row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from torch import Tensor
from torch.nn import functional as F

from jlrun.tasks.base import Task, check_row_logits

if TYPE_CHECKING:
    from torchmetrics import Metric


class Multilabel(Task):
    """Any of C labels: the mean binary cross-entropy over labels, target float32 0/1 ``(B, C)``.

    Args:
        metric: primary metric, for selection and Δm; None: macro F1.
    """

    primary = "macro_f1"

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
        return (probabilities > 0.5).float()

    def metrics(self, classes: tuple[str, ...]) -> dict[str, Metric]:
        from jlrun.tasks.metrics.kept import LabelAUROC, LabelScores

        return {"labels": LabelScores(len(classes)), "auroc": LabelAUROC()}

    def invalid(self, targets: Tensor, classes: tuple[str, ...]) -> str:
        if targets.ndim != 2 or targets.shape[1] != len(classes):
            return f"expected {len(classes)} labels per row, found shape {tuple(targets.shape)}"
        return "" if ((targets == 0) | (targets == 1)).all() else "labels must be 0 or 1"
