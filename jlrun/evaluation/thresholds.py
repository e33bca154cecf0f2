"""Thresholds of yes-or-no tasks and of labels, tuned on validation rows."""

# N rows

from __future__ import annotations

from typing import Literal

import numpy as np

from jlrun.evaluation.weighted_scores import RowPredictions, weighted_scores
from jlrun.evaluation.weighted_sums import Array, Weighted, ratio
from jlrun.tasks import Binary, Multilabel

Criterion = Literal["f1", "balanced_accuracy"]
HALF = 0.5


def tune_thresholds(
    task: Binary | Multilabel, rows: RowPredictions, criterion: Criterion
) -> tuple[float, ...]:
    """Return the threshold of *yes*, or of each label, with the best criterion on the rows.

    ``f1`` is that of *yes*, or of the label; ``balanced_accuracy`` the mean of sensitivity and
    specificity. Candidates are 0.5 and the middles between neighbouring probabilities; of equally
    good ones the nearest to 0.5 is taken. Without a row of either kind it stays at 0.5.
    """
    p, y = rows.probabilities.double().numpy(), rows.target.numpy()
    if isinstance(task, Binary):
        p, y = p[:, 1:], y[:, None]
    columns = zip(p.T, (y > 0.5).T, strict=True)
    return tuple(best_threshold(scores, positive, criterion) for scores, positive in columns)


def best_threshold(scores: Array, positive: Array, criterion: Criterion) -> float:
    """Return the threshold of scores ``(N,)`` in [0, 1] above which rows are taken for positive."""
    if positive.all() or not positive.any():
        return HALF
    ordered = np.unique(scores)
    candidates = np.append((ordered[1:] + ordered[:-1]) / 2, [ordered[0] / 2, HALF])
    values = _criterion(scores, positive, candidates, criterion)
    best = candidates[values >= values.max() - 1e-12]
    return float(best[np.abs(best - HALF).argmin()])


def _criterion(scores: Array, positive: Array, limits: Array, criterion: Criterion) -> Array:
    order = scores.argsort()
    place = np.searchsorted(scores[order], limits, side="right")
    hits = positive.sum() - np.append(0, positive[order].cumsum())[place]
    predicted = len(scores) - place
    if criterion == "f1":
        return 2 * hits / (predicted + positive.sum())
    wrong = predicted - hits
    return (hits / positive.sum() + 1 - wrong / (~positive).sum()) / 2


def decided_scores(task: Binary | Multilabel, rows: RowPredictions) -> dict[str, Weighted]:
    """Return the scores that thresholds decide on, as `weighted_scores`; of *yes* its F1, too."""
    found = {n: f for n, f in weighted_scores(task, rows).items() if n != "auroc"}
    if not found or not isinstance(task, Binary):
        return found
    predicted = task.decide(rows.probabilities.double()).double().numpy()
    occurring = rows.target.double().numpy()
    hits = predicted * occurring
    return {"f1": lambda w: ratio(2 * w @ hits, w @ predicted + w @ occurring), **found}
