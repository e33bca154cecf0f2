"""Scores of numbers and of grades of rows that count several times or not at all."""

# N rows, R resamples;  w (R, N) how often each row counts

from __future__ import annotations

import numpy as np

from jlrun.evaluation.weighted_sums import Array, Weighted, ratio, tied


def of_numbers(predicted: Array, y: Array) -> dict[str, Weighted]:
    """Return the metrics of predicted numbers ``(N,)`` and true ones."""
    error = predicted - y
    scale = np.abs(error).max() or 1.0  # squares of very large units leave float64
    squares, spread = (error / scale) ** 2, np.abs(y - y[0]).max() or 1.0
    centred = (y - y.mean()) / spread
    size = np.abs(error)

    def r2(w: Array) -> Array:
        total = w.sum(axis=1)
        rest = w @ centred**2 - (w @ centred) ** 2 / total
        rest = np.where(rest > 1e-12 * total, rest, 0.0)  # one row, drawn again and again
        return 1 - ratio(w @ squares * (scale / spread) ** 2, rest)

    return {
        "mae": lambda w: w @ size / w.sum(axis=1),
        "rmse": lambda w: scale * np.sqrt(w @ squares / w.sum(axis=1)),
        "median_error": _median(size),
        "r2": r2,
        "spearman": _spearman(predicted, y),
    }


def of_grades(predicted: Array, y: Array) -> dict[str, Weighted]:
    """Scores of positions of classes in an order, ``(N,)``."""
    p, y = predicted.astype(float), y.astype(float)
    size, squares = np.abs(p - y), (p - y) ** 2

    def kappa(w: Array) -> Array:
        total = w.sum(axis=1)
        mean_p, mean_y = w @ p / total, w @ y / total
        expected = w @ (p**2 + y**2) / total - 2 * mean_p * mean_y
        return 1 - ratio(w @ squares / total, expected.round(12))

    return {"mae": lambda w: w @ size / w.sum(axis=1), "quadratic_kappa": kappa}


def _spearman(x: Array, y: Array) -> Weighted:
    rank_x, rank_y = _ranks(x), _ranks(y)

    def correlation(w: Array) -> Array:
        total = w.sum(axis=1, keepdims=True)
        a, b = rank_x(w) - total / 2, rank_y(w) - total / 2
        norm = np.sqrt((w * a * a).sum(axis=1) * (w * b * b).sum(axis=1))
        return ratio((w * a * b).sum(axis=1), norm)

    return correlation


def _ranks(x: Array) -> Weighted:
    """Mean rank of each row, less a half, ``(R, N)``: rows that count twice are tied."""
    order, starts = tied(x)
    counts = np.diff(np.append(starts, len(x)))

    def ranks(w: Array) -> Array:
        tied = np.add.reduceat(w[:, order], starts, axis=1)
        found = np.empty(w.shape)
        found[:, order] = np.repeat(tied.cumsum(axis=1) - tied / 2, counts, axis=1)
        return found

    return ranks


def _median(x: Array) -> Weighted:
    order = x.argsort(kind="stable")
    ordered = x[order]

    def median(w: Array) -> Array:
        below = w[:, order].cumsum(axis=1)
        half = below[:, -1:] / 2
        low = (below < half).sum(axis=1)
        high = (below <= half).sum(axis=1)
        return (ordered[low] + ordered[np.minimum(high, len(x) - 1)]) / 2

    return median
