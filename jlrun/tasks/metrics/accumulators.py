"""Metrics that accumulate counts or all rows; scores of regression in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from jlrun.tasks.metrics.class_counts import (
    ClassCounts,
    class_scores,
    grade_scores,
    label_scores,
)
from jlrun.tasks.metrics.ranks import mean_auroc, median, spearman


class _Counts:
    """Counts of predictions; with one that is NaN, as of an overflow, no score has a value.

    Args:
        num_classes: C.
        decide: probabilities -> predictions, as `Task.decide`.
    """

    def __init__(self, num_classes: int, decide: Callable[[Tensor], Tensor]) -> None:
        self.num_classes = num_classes
        self.decide = decide
        # (3, C): hits, predicted, occurring
        self.counts = torch.zeros(3, num_classes, dtype=torch.long)
        self.rows, self.undefined = 0, 0  # undefined: rows with NaN

    def _add(self, found: ClassCounts, probabilities: Tensor) -> None:
        self.counts += torch.stack([found.hits, found.predicted, found.occurring])
        self.rows += len(probabilities)
        self.undefined += int(probabilities.isnan().any(dim=1).sum())

    def _defined(self, scores: dict[str, float]) -> dict[str, float]:
        return dict.fromkeys(scores, math.nan) if self.undefined else scores


class ClassScores(_Counts):
    """`class_scores` of probabilities ``(B, C)`` against classes ``(B,)``."""

    def update(self, probabilities: Tensor, target: Tensor) -> None:
        """Take note of a batch."""
        found = ClassCounts.of_classes(self.decide(probabilities), target, self.num_classes)
        self._add(found, probabilities)

    def compute(self) -> dict[str, float]:
        """Return the scores of all batches."""
        return self._defined(class_scores(ClassCounts(*self.counts)))


class LabelScores(_Counts):
    """`label_scores` of probabilities ``(B, C)`` against labels ``(B, C)``."""

    def update(self, probabilities: Tensor, target: Tensor) -> None:
        """Take note of a batch."""
        self._add(ClassCounts.of_labels(self.decide(probabilities), target), probabilities)

    def compute(self) -> dict[str, float]:
        """Return the scores of all batches."""
        return self._defined(label_scores(ClassCounts(*self.counts), self.rows))


class _Rows:
    def __init__(self) -> None:
        self._predicted: list[Tensor] = []
        self._target: list[Tensor] = []

    def update(self, predicted: Tensor, target: Tensor) -> None:
        self._predicted.append(predicted.double())
        self._target.append(target)

    def _all(self) -> tuple[Tensor, Tensor]:
        return torch.cat(self._predicted), torch.cat(self._target)


class OrdinalScores(_Rows):
    """`class_scores` and `grade_scores` of probabilities ``(B, C)`` against classes ``(B,)``.

    Args:
        decide: probabilities -> predicted classes.
    """

    def __init__(self, decide: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self._decide = decide

    def compute(self) -> dict[str, float]:
        """Return the scores of all batches."""
        probabilities, target = self._all()
        predicted = self._decide(probabilities)
        counts = ClassCounts.of_classes(predicted, target, probabilities.shape[1])
        scores = class_scores(counts) | grade_scores(predicted, target)
        return dict.fromkeys(scores, math.nan) if bool(probabilities.isnan().any()) else scores


class ClassAUROC(_Rows):
    """One class against the rest, in the mean over classes that occur, of scores ``(B, C)``.

    A class without a positive row counts as 0 in torchmetrics, which is a property of the sample
    and not of the model.

    Args:
        num_classes: C.
    """

    takes_log_odds = True  # probabilities near 1 are equal in floating point

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes

    def compute(self) -> float:
        """Return the mean over classes that both occur and do not."""
        scores, target = self._all()
        return mean_auroc(scores, target[:, None] == torch.arange(self.num_classes))


class LabelAUROC(_Rows):
    """Each label, in the mean over labels that occur but not always, of scores ``(B, C)``."""

    takes_log_odds = True

    def compute(self) -> float:
        """Return the mean over labels that both occur and do not."""
        scores, target = self._all()
        return mean_auroc(scores, target > 0.5)


class RegressionScores(_Rows):
    """`regression_scores` of outputs ``(B, 1)`` against targets ``(B,)``."""

    def update(self, predicted: Tensor, target: Tensor) -> None:
        """Take note of a batch."""
        super().update(predicted[:, 0], target)

    def compute(self) -> dict[str, float]:
        """Return the scores of all batches."""
        return regression_scores(*self._all())


def regression_scores(predicted: Tensor, target: Tensor) -> dict[str, float]:
    """Return every score of N predictions.

    ``mae``, ``rmse`` and ``median_error`` (of the absolute errors) are in the unit of the target;
    ``r2`` and ``spearman`` have none.

    Args:
        predicted, target: ``(N,)``, N at least 1.
    """
    predicted, target = predicted.double(), target.double()
    error = predicted - target
    size = error.abs()
    return {
        "mae": float(size.mean()),
        "rmse": _root_mean_square(error),
        "median_error": median(size),
        "r2": r2(error, target),
        "spearman": spearman(predicted, target),
    }


def r2(error: Tensor, target: Tensor) -> float:
    """Return 1 − Σ e² / Σ (y − ȳ)², the coefficient of determination.

    NaN for fewer than two rows. Of constant targets it is 1 if all predictions are right and else
    0, as in scikit-learn.

    Args:
        error: e ``(N,)``, float64.
        target: y ``(N,)``, float64.
    """
    if len(target) < 2:
        return math.nan
    if bool((target == target[0]).all()):
        return math.nan if bool(error.isnan().any()) else float(bool((error == 0).all()))
    # From one of the targets first: far from 0 the mean itself would be rounded.
    centred = target - target[0]
    centred = centred - centred.mean()
    scale = centred.abs().max()  # squares of very small and very large units leave float64
    return float(1 - (error / scale).square().sum() / (centred / scale).square().sum())


def _root_mean_square(x: Tensor) -> float:
    scale = x.abs().max()
    if math.isinf(scale):
        return math.inf
    return float((x / scale).square().mean().sqrt() * scale) if bool(scale != 0) else 0.0
