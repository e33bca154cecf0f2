"""Intervals of predicted numbers by split conformal prediction, from validation residuals."""

# n validation rows, e = y − ŷ their residuals on the scale of the target, 1 − α the level

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from jlrun.evaluation.weighted_scores import RowPredictions
from jlrun.tasks import Regression
from jlrun.tasks.target_scales import from_scale, to_scale

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """Interval of the predictions of a regression task.

    Residuals are those on the scale on which the target is learned, so that intervals of a target
    learned as its logarithm grow with it. A new row that is exchangeable with the validation rows
    is inside with a probability of at least the level: Lei et al., "Distribution-Free Predictive
    Inference for Regression", JASA 2018, algorithm 2. A prediction of a quantile is not in the
    middle of the target: its interval has the share α / 2 of the residuals beyond either end.

    Attributes:
        task: of the predictions.
        below, above: what is added on the scale of the target, for either end.
        level: 1 − α.
    """

    task: Regression
    below: float
    above: float
    level: float

    @classmethod
    def of(cls, task: Regression, rows: RowPredictions, level: float = LEVEL) -> Interval | None:
        """Return the interval from predictions of validation rows; None of fewer than `fewest`."""
        known = rows.probabilities[:, 0].double()
        on_scale = (to_scale(x.double(), task.scale) for x in (rows.target, known))
        target, predicted = on_scale
        residuals = (target - predicted)[(target - predicted).isfinite()]
        count = len(residuals)
        if count < fewest(task, level):
            return None
        if _is_central(task):
            largest = residuals.abs().sort().values[_rank(count, level) - 1].item()
            return cls(task, -largest, largest, level)
        ordered, outside = residuals.sort().values, count + 1 - _rank(count, (1 + level) / 2)
        return cls(task, ordered[outside - 1].item(), ordered[count - outside].item(), level)

    def around(self, predicted: Tensor) -> tuple[Tensor, Tensor]:
        """Return lower and upper ends, ``(N,)``, in the units of the target."""
        on_scale = to_scale(predicted.double(), self.task.scale)
        ends = (from_scale(on_scale + shift, self.task.scale) for shift in (self.below, self.above))
        lower, upper = ends
        return lower, upper

    def coverage(self, predicted: Tensor, target: Tensor) -> float:
        """Return the share of targets ``(N,)`` within the intervals of their predictions."""
        lower, upper = self.around(predicted)
        inside = (lower <= target) & (target <= upper)
        return float(inside.double().mean())


Intervals = Mapping[str, Interval]


def fewest(task: Regression, level: float) -> int:
    """Return the number of validation rows that an interval of this level takes at least."""
    outside = 1 - level if _is_central(task) else (1 - level) / 2
    return max(1, math.ceil(round(1 / outside - 1, 9)))


def _is_central(task: Regression) -> bool:
    return task.options.kind != "quantile"


def _rank(count: int, level: float) -> int:
    """Return ⌈(n + 1) level⌉, the rank of the residual that the level asks for."""
    return max(1, math.ceil(round((count + 1) * level, 9)))
