"""Scores of classes and labels of rows that count several times or not at all."""

# N rows, C classes or labels, R resamples;  w (R, N) how often each row counts

from __future__ import annotations

import numpy as np

from jlrun.evaluation.weighted_sums import Array, Weighted, mean, ratio, weighted_mean


def of_classes(predicted: Array, occurring: Array) -> dict[str, Weighted]:
    """Return the metrics of exclusive classes, of ones ``(N, C)`` at what is predicted and true."""
    hits = predicted * occurring

    def f1(w: Array) -> Array:
        return ratio(2 * w @ hits, w @ predicted + w @ occurring)

    return {
        "accuracy": lambda w: (w @ hits).sum(axis=1) / w.sum(axis=1),
        "mean_class_accuracy": lambda w: mean(ratio(w @ hits, w @ occurring)),
        "macro_f1": lambda w: mean(f1(w)),
        "weighted_f1": lambda w: weighted_mean(f1(w), w @ occurring),
    }


def of_labels(predicted: Array, occurring: Array) -> dict[str, Weighted]:
    """Return the metrics of labels, of ones ``(N, C)`` at those predicted and those that occur."""
    hits = predicted * occurring
    right = (predicted == occurring).mean(axis=1)

    def f1(w: Array) -> Array:
        counts = w @ occurring
        return ratio(np.where(counts > 0, 2 * w @ hits, np.nan), w @ predicted + counts)

    return {
        "accuracy": lambda w: w @ right / w.sum(axis=1),
        "macro_f1": lambda w: mean(f1(w)),
        "weighted_f1": lambda w: weighted_mean(f1(w), w @ occurring),
    }


def mean_auroc(scores: Array, positive: Array) -> Weighted:
    """Mean over the columns that have rows of both kinds in the resample."""
    columns = [_auroc(s, q) for s, q in zip(scores.T, positive.T, strict=True)]
    return lambda w: mean(np.stack([column(w) for column in columns], axis=1))


def _auroc(scores: Array, positive: Array) -> Weighted:
    """Share of pairs in order, ties a half: rows are sorted once for all resamples.

    All sums are of whole numbers and halves, and exact.
    """
    yes, no = (np.flatnonzero(positive == kind) for kind in (1, 0))
    no = no[scores[no].argsort(kind="stable")]
    # Of the negative rows, how many score less than a positive one, and how many at most as much
    less, at_most = (np.searchsorted(scores[no], scores[yes], side) for side in ("left", "right"))

    def area(w: Array) -> Array:
        above, below = w[:, yes], np.zeros((len(w), len(no) + 1))
        w[:, no].cumsum(axis=1, out=below[:, 1:])
        before = (below[:, less] + below[:, at_most]) / 2
        return ratio((above * before).sum(axis=1), above.sum(axis=1) * below[:, -1])

    return area
