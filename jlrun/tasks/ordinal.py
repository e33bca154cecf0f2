"""Ordinal classification: classes in an order, such as grades."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from jlrun.tasks.base import Metric, Task, check_row_logits
from jlrun.tasks.classification import ClassMetric, classification_metrics, outside


class Ordinal(Task):
    """One of C classes in an order: C − 1 questions whether the target is above class k.

    The mean binary cross-entropy over the questions, target int64 ``(B,)``: Niu et al., "Ordinal
    Regression with Multiple Output CNN for Age Estimation", CVPR 2016, eq. (3), with equal weights.
    Probabilities are differences of P(y > k), each at most the one before.

    Args:
        metric: primary metric, for selection and Δm; None: accuracy.
    """

    primary = "accuracy"

    def __init__(self, metric: ClassMetric | None = None) -> None:
        self.prefer(metric)

    def num_outputs(self, classes: tuple[str, ...]) -> int:
        return len(classes) - 1

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        check_row_logits(logits)
        above = target[:, None] > torch.arange(logits.shape[1], device=target.device)
        losses = F.binary_cross_entropy_with_logits(
            logits, above.to(logits.dtype), reduction="none"
        )
        return losses.mean(dim=1)

    def probabilities(self, logits: Tensor) -> Tensor:
        above = logits.sigmoid().cummin(dim=1).values
        return F.pad(above, (1, 0), value=1.0) - F.pad(above, (0, 1))

    def decide(self, probabilities: Tensor) -> Tensor:
        """Return the median class, of which half of the probability is at or above and below."""
        return (probabilities.cumsum(dim=1) < 0.5).sum(dim=1).clamp(max=probabilities.shape[1] - 1)

    def metrics(self, classes: tuple[str, ...]) -> dict[str, Metric]:
        return classification_metrics(len(classes))

    def invalid(self, targets: Tensor, classes: tuple[str, ...]) -> str:
        return outside(targets, len(classes))
