"""Temperature of a task's probabilities, fitted to validation rows.

Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2.
"""

# N rows, C classes or labels;  T temperature

from __future__ import annotations

import math

import torch
from torch import Tensor

from jlrun.evaluation.weighted_scores import RowPredictions
from jlrun.tasks import Binary, Multiclass, Multilabel, Ordinal, Task
from jlrun.tasks.ordinal import ordinal_tempered

Tempered = Binary | Multiclass | Multilabel | Ordinal
LARGEST = 20.0  # temperature; 1 / LARGEST is the smallest


def fit_temperature(task: Tempered, rows: RowPredictions) -> float:
    """Return the T in [1/20, 20] with the smallest negative log-likelihood of the rows, in float64.

    The likelihood of a softmax or sigmoid is convex in 1/T, so that a search for one minimum finds
    it. T is 1 where none is better.
    """

    from scipy.optimize import minimize_scalar

    def loss(log_t: float) -> float:
        return log_loss(task, RowPredictions(tempered(task, p, math.exp(log_t)), rows.target))

    p, bound = rows.probabilities.double(), math.log(LARGEST)
    found = minimize_scalar(loss, bounds=(-bound, bound), method="bounded")
    return math.exp(found.x) if found.fun < loss(0.0) else 1.0


def tempered(task: Tempered, probabilities: Tensor, temperature: float) -> Tensor:
    """Return the probabilities ``(N, C)`` if logits are divided by T.

    Logits are those of a softmax over exclusive classes, of a sigmoid for each label, and of
    P(y > k) for classes in an order. What is decided at 0.5, by the most probable or by the median
    class, stays the same.
    """
    if temperature == 1.0:
        return probabilities
    if isinstance(task, Multilabel):
        return ((_log(probabilities) - _log(1 - probabilities)) / temperature).sigmoid()
    if not isinstance(task, Ordinal):
        return (_log(probabilities) / temperature).softmax(dim=1)
    return ordinal_tempered(
        probabilities.clamp(min=torch.finfo(probabilities.dtype).tiny), temperature
    )


def log_loss(task: Task, rows: RowPredictions) -> float:
    """Return the mean −log p of the true class, or of the truth of each label."""
    p, y = rows.probabilities.double(), rows.target
    if isinstance(task, Multilabel):
        p = torch.where(y > 0.5, p, 1 - p)
        return float(-_log(p).mean())
    return float(-_log(p.gather(1, y.long()[:, None])).mean())


def _log(p: Tensor) -> Tensor:
    return p.clamp(min=torch.finfo(p.dtype).tiny).log()
