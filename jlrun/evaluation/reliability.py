"""Reliability of probabilities: how often what is predicted with confidence p is right."""

# N rows, C classes or labels, M bins

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jlrun.evaluation.temperature import Tempered, log_loss
from jlrun.evaluation.weighted_scores import RowPredictions
from jlrun.tasks import Binary, Multilabel

BINS = 15


@dataclass(frozen=True)
class Reliability:
    """Predictions in M bins of equal width of their confidence.

    Attributes:
        rows: predictions in each bin, ``(M,)``.
        confidence: their mean probability, 0 without any.
        right: the share of them that is right, 0 without any.
        log_loss: mean negative log-likelihood of the truth.
    """

    rows: np.ndarray
    confidence: np.ndarray
    right: np.ndarray
    log_loss: float

    @property
    def ece(self) -> float:
        """Expected calibration error, Σ_m n_m / N |right_m − confidence_m|.

        Eq. (5) of Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
        """
        return float(self.rows @ np.abs(self.right - self.confidence) / self.rows.sum())

    def to_json(self) -> dict[str, Any]:
        """Return ``ece``, ``log_loss`` and the bins."""
        bins = {"rows": self.rows, "confidence": self.confidence, "right": self.right}
        return {
            "ece": self.ece,
            "log_loss": self.log_loss,
            "bins": {name: values.tolist() for name, values in bins.items()},
        }


def reliability(task: Tempered, rows: RowPredictions) -> Reliability:
    """Return the reliability of predictions.

    The confidence is the probability of the predicted class, of a yes-or-no task that of *yes*, and
    of labels those of all of them.
    """
    confidence, right = _confidences(task, rows)
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    counts = np.bincount(place, minlength=BINS).astype(float)
    sums = (np.bincount(place, each, minlength=BINS) for each in (confidence, right))
    mean_confidence, share = (total / counts.clip(min=1) for total in sums)
    return Reliability(counts, mean_confidence, share, log_loss(task, rows))


def _confidences(task: Tempered, rows: RowPredictions) -> tuple[np.ndarray, np.ndarray]:
    p, y = rows.probabilities.double(), rows.target
    if isinstance(task, Multilabel):
        return p.flatten().numpy(), y.double().flatten().numpy()
    if isinstance(task, Binary):
        return p[:, 1].numpy(), y.double().numpy()
    decided = task.decide(p)
    return p.gather(1, decided[:, None])[:, 0].numpy(), (decided == y).double().numpy()


def calibration_tags(found: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Return tag -> value for the records, of the ``calibration`` of a result."""
    values = {}
    for task, each in found.items():
        values[f"calibration/{task}/temperature"] = each["temperature"]
        for part in ("test", "test_calibrated"):
            values[f"calibration/{task}/{part}_ece"] = each[part]["ece"]
            values[f"calibration/{task}/{part}_log_loss"] = each[part]["log_loss"]
    return values
