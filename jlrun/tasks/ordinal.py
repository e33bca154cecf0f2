"""Ordinal classification: classes in an order, such as grades."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from jlrun.tasks.base import Metric, Task, check_row_logits
from jlrun.tasks.classification import ClassMetric, outside


class Ordinal(Task):
    """One of C classes in an order: C − 1 questions whether the target is above class k.

    The mean binary cross-entropy over the questions, target int64 ``(B,)``: Niu et al., "Ordinal
    Regression with Multiple Output CNN for Age Estimation", CVPR 2016, eq. (3), with equal weights.
    Probabilities are differences of P(y > k), each at most the one before. The predicted class is
    the median of the distribution, which minimises the expected error in grades: all scores are
    those of it.

    Args:
        metric: primary metric, for selection and Δm; None: accuracy.
    """

    primary = "accuracy"

    def __init__(
        self, metric: ClassMetric | Literal["mae", "quadratic_kappa"] | None = None
    ) -> None:
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
        from jlrun.tasks.metrics.accumulators import ClassAUROC, OrdinalScores

        return {"grades": OrdinalScores(self.decide), "auroc": ClassAUROC(len(classes))}

    def invalid(self, targets: Tensor, classes: tuple[str, ...]) -> str:
        return outside(targets, len(classes))
