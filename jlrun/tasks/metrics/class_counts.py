"""Class counts, and the scores of classes or labels that follow from them."""

# C classes or labels

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ClassCounts:
    """Counts of each class or label: correct predictions, predictions, occurrences.

    Attributes:
        hits, predicted, occurring: int64 ``(C,)``.
    """

    hits: Tensor
    predicted: Tensor
    occurring: Tensor

    @classmethod
    def of_classes(cls, predicted: Tensor, target: Tensor, num_classes: int) -> ClassCounts:
        """Count exclusive classes, ``(N,)`` each."""
        right = target[predicted == target]
        columns = (right, predicted, target)
        return cls(*(column.long().bincount(minlength=num_classes) for column in columns))

    @classmethod
    def of_labels(cls, predicted: Tensor, target: Tensor) -> ClassCounts:
        """Count labels, 0 or 1, ``(N, C)`` each."""
        found, true = predicted > 0.5, target > 0.5
        return cls((found & true).sum(dim=0), found.sum(dim=0), true.sum(dim=0))

    @classmethod
    def unpredicted(cls, target: Tensor, num_classes: int) -> ClassCounts:
        """Count exclusive classes ``(N,)`` of rows for which nothing was predicted."""
        occurring = target.long().bincount(minlength=num_classes)
        return cls(torch.zeros_like(occurring), torch.zeros_like(occurring), occurring)

    def plus(self, other: ClassCounts) -> ClassCounts:
        """Return the counts of both."""
        return ClassCounts(
            self.hits + other.hits,
            self.predicted + other.predicted,
            self.occurring + other.occurring,
        )

    def precision(self) -> Tensor:
        """Return the share of correct predictions, ``(C,)``; NaN for classes never predicted."""
        return self.hits.double() / self.predicted.double()

    def recall(self) -> Tensor:
        """Return the share of occurrences found, ``(C,)``; NaN for classes that never occur."""
        return self.hits.double() / self.occurring.double()

    def f1(self) -> Tensor:
        """Return 2 hits / (predicted + occurring), ``(C,)``; NaN where both are 0."""
        return 2 * self.hits.double() / (self.predicted + self.occurring).double()

    def weighted_f1(self) -> float:
        """Return the mean F1, weighted by occurrences; NaN if nothing occurs."""
        occurs = self.occurring > 0
        weights = self.occurring[occurs].double()
        return float((self.f1()[occurs] * weights).sum() / weights.sum())

    def by_name(self, names: Sequence[str]) -> dict[str, dict[str, float]]:
        """Return name -> ``precision``, ``recall``, ``f1``, and ``rows``: its occurrences."""
        columns = (self.precision(), self.recall(), self.f1(), self.occurring)
        keys = ("precision", "recall", "f1", "rows")
        values = zip(*(column.tolist() for column in columns), strict=True)
        return {
            name: dict(zip(keys, row, strict=True)) for name, row in zip(names, values, strict=True)
        }


def class_scores(counts: ClassCounts) -> dict[str, float]:
    """Return scores of exclusive classes.

    ``mean_class_accuracy`` is the mean recall over the classes that occur (balanced accuracy);
    ``macro_f1`` the mean F1 over those that occur or are predicted.
    """
    return {
        "accuracy": float(counts.hits.sum().double() / counts.occurring.sum().double()),
        "mean_class_accuracy": _mean(counts.recall()),
        "macro_f1": _mean(counts.f1()),
        "weighted_f1": counts.weighted_f1(),
    }


def grade_scores(predicted: Tensor, target: Tensor) -> dict[str, float]:
    """Return scores of classes in an order, by how far predictions are off.

    ``mae`` is the mean absolute error in grades, neighbours being one grade apart;
    ``quadratic_kappa`` Cohen's weighted kappa, 1 − Σ (i − j)² o_ij / Σ (i − j)² e_ij for observed
    shares o and those expected of independent predictions, e ("Weighted Kappa", Psychological
    Bulletin 1968). It is NaN if one class alone occurs and is predicted.

    Args:
        predicted, target: positions of classes, ``(N,)``, N at least 1.
    """
    p, y = predicted.double(), target.double()
    # Times N², whole numbers, so that predictions without information have exactly 0.
    count = len(p)
    observed = count * (p - y).square().sum()
    expected = count * (p.square() + y.square()).sum() - 2 * p.sum() * y.sum()
    return {
        "mae": float((p - y).abs().mean()),
        "quadratic_kappa": float(1 - observed / expected),
    }


def label_scores(counts: ClassCounts, num_rows: int) -> dict[str, float]:
    """Return scores of labels that may occur together.

    ``accuracy`` is over all labels of all rows. ``macro_f1`` is the mean F1 over the labels that
    occur, since it is 0 or undefined for the others; ``labels_left_out`` counts these, if any.
    """
    occurs = counts.occurring > 0
    wrong = (counts.predicted + counts.occurring - 2 * counts.hits).sum()
    left_out = int((~occurs).sum())
    scores = {
        "accuracy": 1 - float(wrong) / (num_rows * len(occurs)) if num_rows else math.nan,
        "macro_f1": float(counts.f1()[occurs].mean()),
        "weighted_f1": counts.weighted_f1(),
    }
    return scores | ({"labels_left_out": float(left_out)} if left_out else {})


def _mean(values: Tensor) -> float:
    """Return the mean of the values that are defined, NaN without any."""
    return float(values[~torch.isnan(values)].mean())
