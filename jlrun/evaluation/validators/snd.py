"""Target rows that have many near neighbours."""

# T rows, K classes, τ temperature

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from jlrun.evaluation.validators.base import Evidence, Validator, limited, probabilities, usable
from jlrun.ranges import PositiveFloat, PositiveInt

ROWS_AT_ONCE = 256  # of the T × T similarities


@dataclass(frozen=True)
class SND(Validator):
    """Mean entropy in nats of each target row's distribution over its neighbours, in [0, log(T−1)].

    Soft neighbourhood density of Saito et al., "Tune it the Right Way: Unsupervised Validation of
    Domain Adaptation via Soft Neighborhood Density", ICCV 2021: with s_ij the cosine similarity of
    the predictions of rows i and j, row i's distribution over all j ≠ i is softmax_j(s_ij / τ).
    Differs from it in: of more than ``max_rows`` rows, a fixed random subset counts; no constant is
    added within the logarithm.

    The score rises with the logarithm of the number of rows. A model with the same prediction for
    all rows scores the highest, log(T−1); a single row has no neighbour and scores 0.

    Args:
        temperature: τ; a small one counts the nearest rows alone.
        max_rows: rows to compare; time is quadratic in it.
    """

    name: ClassVar[str] = "snd"

    temperature: PositiveFloat = 0.05
    max_rows: PositiveInt = 5000

    def score(self, evidence: Evidence) -> float:
        if not usable(evidence.target_logits):
            return float("-inf")
        predictions = torch.cat(list(probabilities(limited(evidence.target_logits, self.max_rows))))
        return mean_neighbour_entropy(F.normalize(predictions, dim=1), self.temperature)


def mean_neighbour_entropy(points: Tensor, temperature: float) -> float:
    """Return the mean entropy of softmax_{j≠i}(⟨x_i, x_j⟩ / τ) for points x ``(T, K)``."""
    if len(points) < 2:
        return 0.0
    total = 0.0
    for first in range(0, len(points), ROWS_AT_ONCE):
        similarity = points[first : first + ROWS_AT_ONCE] @ points.T / temperature
        similarity.diagonal(first).fill_(float("-inf"))  # each row's similarity to itself
        total += float(torch.special.entr(similarity.softmax(dim=1)).sum())
    return total / len(points)
