"""Scores of rows that count several times or not at all: all resamples of a bootstrap at once."""

# N rows, C classes or labels, R resamples;  w (R, N) how often each row counts

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from jlrun.tasks import Binary, Multiclass, Multilabel, Regression, Task

Array = np.ndarray
Weighted = Callable[[Array], Array]


@dataclass(frozen=True)
class RowPredictions:
    """Predictions of the labelled test rows of a task, in the order of the rows.

    Attributes:
        probabilities: as `Task.probabilities`, ``(N, C)``; values ``(N, 1)`` in regression.
        target: ``(N,)``, of labels ``(N, C)``.
    """

    probabilities: Tensor
    target: Tensor

    def __len__(self) -> int:
        return len(self.target)

    def same_rows_as(self, other: RowPredictions) -> bool:
        """Whether both are about the same rows, as far as the targets show."""
        return self.target.shape == other.target.shape and torch.equal(self.target, other.target)


def weighted_scores(task: Task, rows: RowPredictions) -> dict[str, Weighted]:
    """Return metric -> the function of ``w`` that gives its value in each resample, ``(R,)``.

    With weights of 1 they are the task's metrics. A value is NaN where a resample defines none, as
    the AUROC without a row of either kind. Tasks with maps, and predictions that hold a NaN, have
    none.
    """
    p, y = rows.probabilities.double().numpy(), rows.target.numpy()
    if task.dense or not len(y) or np.isnan(p).any():
        return {}
    match task:
        case Multiclass() | Binary():
            occurring = np.eye(p.shape[1])[y.astype(np.int64)]
            predicted = np.eye(p.shape[1])[p.argmax(axis=1)]
            return {**_of_classes(predicted, occurring), "auroc": _mean_auroc(p, occurring)}
        case Multilabel():
            occurring = (y > 0.5).astype(float)
            return {
                **_of_labels((p > 0.5).astype(float), occurring),
                "auroc": _mean_auroc(p, occurring),
            }
        case Regression():
            return _of_numbers(p[:, 0], y.astype(float))
    return {}


def _of_classes(predicted: Array, occurring: Array) -> dict[str, Weighted]:
    hits = predicted * occurring

    def f1(w: Array) -> Array:
        return _ratio(2 * w @ hits, w @ predicted + w @ occurring)

    return {
        "accuracy": lambda w: (w @ hits).sum(axis=1) / w.sum(axis=1),
        "mean_class_accuracy": lambda w: _mean(_ratio(w @ hits, w @ occurring)),
        "macro_f1": lambda w: _mean(f1(w)),
        "weighted_f1": lambda w: _weighted_mean(f1(w), w @ occurring),
    }


def _of_labels(predicted: Array, occurring: Array) -> dict[str, Weighted]:
    hits = predicted * occurring
    right = (predicted == occurring).mean(axis=1)

    def f1(w: Array) -> Array:
        counts = w @ occurring
        return _ratio(np.where(counts > 0, 2 * w @ hits, np.nan), w @ predicted + counts)

    return {
        "accuracy": lambda w: w @ right / w.sum(axis=1),
        "macro_f1": lambda w: _mean(f1(w)),
        "weighted_f1": lambda w: _weighted_mean(f1(w), w @ occurring),
    }


def _of_numbers(predicted: Array, y: Array) -> dict[str, Weighted]:
    error = predicted - y
    scale = np.abs(error).max() or 1.0  # squares of very large units leave float64
    squares, spread = (error / scale) ** 2, np.abs(y - y[0]).max() or 1.0
    centred = (y - y.mean()) / spread
    size = np.abs(error)

    def r2(w: Array) -> Array:
        total = w.sum(axis=1)
        rest = w @ centred**2 - (w @ centred) ** 2 / total
        rest = np.where(rest > 1e-12 * total, rest, 0.0)  # one row, drawn again and again
        return 1 - _ratio(w @ squares * (scale / spread) ** 2, rest)

    return {
        "mae": lambda w: w @ size / w.sum(axis=1),
        "rmse": lambda w: scale * np.sqrt(w @ squares / w.sum(axis=1)),
        "median_error": _median(size),
        "r2": r2,
        "spearman": _spearman(predicted, y),
    }


def _mean_auroc(scores: Array, positive: Array) -> Weighted:
    """Mean over the columns that have rows of both kinds in the resample."""
    columns = [_auroc(s, q) for s, q in zip(scores.T, positive.T, strict=True)]
    return lambda w: _mean(np.stack([column(w) for column in columns], axis=1))


def _auroc(scores: Array, positive: Array) -> Weighted:
    """Share of pairs in order, ties a half: rows are sorted once for all resamples."""
    order, starts = _tied(scores)
    q = positive[order]

    def area(w: Array) -> Array:
        w = w[:, order]
        above = np.add.reduceat(w * q, starts, axis=1)
        below = np.add.reduceat(w * (1 - q), starts, axis=1)
        before = below.cumsum(axis=1) - below / 2
        return _ratio((above * before).sum(axis=1), above.sum(axis=1) * below.sum(axis=1))

    return area


def _spearman(x: Array, y: Array) -> Weighted:
    rank_x, rank_y = _ranks(x), _ranks(y)

    def correlation(w: Array) -> Array:
        total = w.sum(axis=1, keepdims=True)
        a, b = rank_x(w) - total / 2, rank_y(w) - total / 2
        norm = np.sqrt((w * a * a).sum(axis=1) * (w * b * b).sum(axis=1))
        return _ratio((w * a * b).sum(axis=1), norm)

    return correlation


def _ranks(x: Array) -> Weighted:
    """Mean rank of each row, less a half, ``(R, N)``: rows that count twice are tied."""
    order, starts = _tied(x)
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


def _tied(x: Array) -> tuple[Array, Array]:
    """Return the ascending order and where each group of equal values begins in it."""
    order = x.argsort(kind="stable")
    ordered = x[order]
    return order, np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))


def _ratio(above: Array, below: Array) -> Array:
    return np.divide(above, below, out=np.full(below.shape, np.nan), where=below != 0)


def _mean(values: Array) -> Array:
    """Return the mean of the columns that are defined, NaN without any."""
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1).astype(float))


def _weighted_mean(values: Array, weights: Array) -> Array:
    return _ratio((np.nan_to_num(values) * weights).sum(axis=1), weights.sum(axis=1))
