"""Scores of the zero-shot protocol, of rows that count several times or not at all."""

# N rows, K classes, R resamples;  w (R, N) how often each row counts;  U, S as in `protocol`

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jlrun.evaluation.weighted_sums import Array, Weighted, mean, ratio, tied
from jlrun.strategies.zero_shot.classes import ClassSplit


def zero_shot_scores(scores: Array, target: Array, split: ClassSplit) -> dict[str, Weighted]:
    """Return the scores of `Scored.summary` as functions of ``w``; NaN where there are none.

    Args:
        scores: ``(N, K)``, the larger the likelier.
        target: ``(N,)``.
        split: which classes are seen.
    """
    best_seen, right_seen = _best(scores, target, split.seen)
    best_unseen, right_unseen = _best(scores, target, split.unseen)
    lead = best_seen - best_unseen
    u = _mean_accuracy(right_unseen & (lead <= 0), target, split.unseen)
    s = _mean_accuracy(right_seen & (lead > 0), target, split.seen)

    def harmonic(w: Array) -> Array:
        unseen, seen = u(w), s(w)
        total = unseen + seen
        return np.where(total == 0, 0.0, ratio(2 * unseen * seen, total))

    gains = _shares(right_unseen, target, split.unseen)
    losses = _shares(right_seen, target, split.seen)
    return {
        "harmonic_mean": harmonic,
        "unseen_accuracy": u,
        "seen_accuracy": s,
        "zsl_accuracy": _mean_accuracy(right_unseen, target, split.unseen),
        "ausuc": lambda w: _area(lead, gains(w), losses(w)),
    }


def _best(scores: Array, target: Array, classes: Sequence[int]) -> tuple[Array, Array]:
    """Return the largest score among classes, and whether its class is the true one, ``(N,)``."""
    chosen = scores[:, list(classes)]
    return chosen.max(axis=1), np.asarray(classes)[chosen.argmax(axis=1)] == target


def _mean_accuracy(right: Array, target: Array, classes: Sequence[int]) -> Weighted:
    """Mean accuracy over the classes that occur in the resample."""
    occurring = (target[:, None] == np.asarray(classes)).astype(float)
    hits = occurring * right[:, None]
    return lambda w: mean(ratio(w @ hits, w @ occurring))


def _shares(right: Array, target: Array, classes: Sequence[int]) -> Weighted:
    """What each row adds to the mean accuracy over classes, ``(R, N)``; NaN without any row."""
    occurring = (target[:, None] == np.asarray(classes)).astype(float)

    def shares(w: Array) -> Array:
        counts = w @ occurring
        classes_found = (counts > 0).sum(axis=1, keepdims=True)
        each = (counts > 0) / counts.clip(min=1) / np.where(classes_found, classes_found, np.nan)
        return w * right * (each @ occurring.T)

    return shares


def _area(lead: Array, gains: Array, losses: Array) -> Array:
    """Area under S over U as the bias rises past each ``lead``, of equal ones at once."""
    order, starts = tied(lead)
    up = np.add.reduceat(gains[:, order], starts, axis=1)
    down = np.add.reduceat(losses[:, order], starts, axis=1)
    after = down.sum(axis=1, keepdims=True) - down.cumsum(axis=1)
    return (up * (after + down / 2)).sum(axis=1)
