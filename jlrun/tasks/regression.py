"""Regression: a number for each row."""

from __future__ import annotations

from copy import copy
from typing import Literal

import torch
from torch import Tensor

from jlrun.tasks.base import Metric, Task, check_row_logits
from jlrun.tasks.loss_options import NumberLoss
from jlrun.tasks.target_scales import from_scale, to_scale


class Regression(Task):
    """Number: squared error on one output, target float ``(B,)``.

    With known moments of the target (`in_units`), outputs and losses are standardised, comparable
    with those of other tasks; a skewed target is learned on a scale where it is not. Predictions
    and metrics stay in the units of the target.

    Args:
        metric: primary metric, for selection and Δm; None: r2.
        loss: what takes the place of the squared error; None: nothing.
    """

    primary = "r2"

    def __init__(
        self,
        metric: Literal["r2", "mae", "rmse", "median_error", "spearman"] | None = None,
        loss: NumberLoss | None = None,
    ) -> None:
        self.options = loss or NumberLoss()
        self.prefer(metric)

    def in_units(self, mean: float, std: float, *scale: float) -> Regression:
        found = copy(self)
        found.units, found.scale = (mean, std), scale
        return found

    def num_outputs(self, classes: tuple[str, ...]) -> int:
        return 1

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        check_row_logits(logits)
        mean, std = self.units
        target = (to_scale(target, self.scale) - mean) / std
        return self.options(logits[:, 0], target.to(logits.dtype))

    def probabilities(self, logits: Tensor) -> Tensor:
        mean, std = self.units
        return from_scale(logits * std + mean, self.scale)

    def decide(self, probabilities: Tensor) -> Tensor:
        return probabilities[:, 0]

    def metrics(self, classes: tuple[str, ...]) -> dict[str, Metric]:
        from jlrun.tasks.metrics.accumulators import RegressionScores

        return {"numbers": RegressionScores()}

    def invalid(self, targets: Tensor, classes: tuple[str, ...]) -> str:
        return "" if torch.isfinite(targets).all() else "targets must be finite numbers"
