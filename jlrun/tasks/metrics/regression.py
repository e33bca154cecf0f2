"""Scores of predicted numbers, in float64."""

from __future__ import annotations

import math

from torch import Tensor

from jlrun.tasks.metrics.ranks import median, spearman


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
