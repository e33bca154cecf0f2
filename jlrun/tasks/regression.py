"""Regression: a number for each row."""

from __future__ import annotations

from copy import copy
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from jlrun.tasks.base import Metric, Task, check_row_logits


class Regression(Task):
    """Number: squared error on one output, target float ``(B,)``.

    With known moments of the target (`in_units`), outputs and losses are standardised, comparable
    with those of other tasks; predictions and metrics stay in the units of the target.

    Args:
        metric: primary metric, for selection and Δm; None: r2.
    """

    primary = "r2"

    def __init__(
        self, metric: Literal["r2", "mae", "rmse", "median_error", "spearman"] | None = None
    ) -> None:
        self.prefer(metric)

    def in_units(self, mean: float, std: float) -> Regression:
        found = copy(self)
        found.units = (mean, std)
        return found

    def num_outputs(self, classes: tuple[str, ...]) -> int:
        return 1

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        check_row_logits(logits)
        mean, std = self.units
        target = (target - mean) / std
        return F.mse_loss(logits[:, 0], target.to(logits.dtype), reduction="none")

    def probabilities(self, logits: Tensor) -> Tensor:
        mean, std = self.units
        return logits * std + mean

    def decide(self, probabilities: Tensor) -> Tensor:
        return probabilities[:, 0]

    def metrics(self, classes: tuple[str, ...]) -> dict[str, Metric]:
        from jlrun.tasks.metrics.accumulators import RegressionScores

        return {"numbers": RegressionScores()}

    def invalid(self, targets: Tensor, classes: tuple[str, ...]) -> str:
        return "" if torch.isfinite(targets).all() else "targets must be finite numbers"
