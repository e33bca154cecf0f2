"""Depth estimation: a distance for every pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from jlrun.tasks.base import Task
from jlrun.tasks.maps import check_maps, is_deferred, mean_over_pixels, upsample

if TYPE_CHECKING:
    from torchmetrics import Metric


class Depth(Task):
    """A depth (or disparity) for each pixel: absolute error over the valid pixels of the batch.

    Target: float32 ``(B, H, W)``, 0 or below where unknown. Logits ``(B, 1, h, w)``.

    The primary metric is the share of pixels within a factor of 1.25 (δ < 1.25 of Eigen et al.,
    "Depth Map Prediction from a Single Image using a Multi-Scale Deep Network", NeurIPS 2014): it
    lies in [0, 1] like those of other tasks, so that a mean over tasks does not depend on the unit
    of length. Δm compares the two published errors.

    Args:
        metric: primary metric, for selection and Δm; None: within_1.25 in selection, and in Δm
            the mean over `compared`.
    """

    primary = "within_1.25"
    compared = ("abs_err", "rel_err")
    dense = True

    def __init__(self, metric: Literal["within_1.25", "abs_err", "rel_err"] | None = None) -> None:
        self.prefer(metric)

    def num_outputs(self, classes: tuple[str, ...]) -> int:
        return 1

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        check_maps(logits)
        predicted = upsample(logits, target.shape[1:])[:, 0]
        return mean_over_pixels((predicted - target).abs(), target > 0)

    def probabilities(self, logits: Tensor) -> Tensor:
        check_maps(logits)
        return logits

    def decide(self, probabilities: Tensor) -> Tensor:
        return probabilities[:, 0]

    def metrics(self, classes: tuple[str, ...]) -> dict[str, Metric]:
        from jlrun.tasks.dense_metrics import DepthErrors

        return {"depth": DepthErrors()}

    def invalid(self, targets: Tensor, classes: tuple[str, ...]) -> str:
        if is_deferred(targets):
            return ""
        if targets.ndim != 3:
            return f"expected maps (rows, height, width), found shape {tuple(targets.shape)}"
        return "" if torch.isfinite(targets).all() else "depths must be finite numbers"
