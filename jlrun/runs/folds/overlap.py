"""Errors of means over folds, whose models share most of their training rows."""

# J folds, all repeats together;  ρ test rows / training rows;  S² variance of the scores

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from jlrun.evaluation.bootstrap import critical


def standard_error(scores: Sequence[float], ratio: float) -> float:
    """Return the standard error of the mean of scores of folds: √((1/J + ρ) S²).

    The corrected resampled variance of Nadeau & Bengio, "Inference for the Generalization Error",
    Machine Learning 52 (2003), section 3. Training sets overlap, so that S²/J is too small; ρ
    stands for their correlation. For K folds ρ is 1 / (K − 1).

    Args:
        scores: at least two.
        ratio: ρ.
    """
    return math.sqrt(1 / len(scores) + ratio) * stdev(scores)


def interval(scores: Sequence[float], ratio: float) -> tuple[float, float]:
    """Return the 95 % interval of the mean, by Student's t with J − 1 degrees of freedom."""
    mean, width = fmean(scores), critical(len(scores)) * standard_error(scores, ratio)
    return mean - width, mean + width
