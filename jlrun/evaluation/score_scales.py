"""Scales on which the sampling error of a score is nearly symmetric, and which keep its range."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class ScoreScale:
    """A scale g of a score s.

    Attributes:
        to: s -> g(s), for s inside the range.
        back: its inverse.
        slope: s -> g'(s).
        low, high: ends of the range.
    """

    to: Callable[[float], float]
    back: Callable[[float], float]
    slope: Callable[[float], float]
    low: float
    high: float


def _logistic(z: float) -> float:
    return 1 / (1 + math.exp(-z)) if z > -700 else 0.0


def _exp(z: float) -> float:
    return math.exp(z) if z < 700 else math.inf


SHARE = ScoreScale(
    lambda s: math.log(s / (1 - s)), _logistic, lambda s: 1 / (s * (1 - s)), low=0, high=1
)
ERROR = ScoreScale(math.log, _exp, lambda s: 1 / s, low=0, high=math.inf)
CORRELATION = ScoreScale(math.atanh, math.tanh, lambda s: 1 / (1 - s * s), low=-1, high=1)
# of 1 − R², a ratio of two errors
DETERMINATION = ScoreScale(
    lambda s: -math.log1p(-s), lambda z: 1 - _exp(-z), lambda s: 1 / (1 - s), low=-math.inf, high=1
)

_ERRORS = (
    *("mae", "rmse", "median_error", "abs_err", "rel_err"),
    *("mean_angle", "median_angle"),
)
_SCALES = {
    **dict.fromkeys(_ERRORS, ERROR),
    **dict.fromkeys(("spearman", "quadratic_kappa"), CORRELATION),
    "r2": DETERMINATION,
}


def scale_of_score(metric: str) -> ScoreScale:
    """Return the scale of a metric; of those without one of their own, that of shares."""
    return _SCALES.get(metric, SHARE)
