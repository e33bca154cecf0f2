"""Surface normals: a direction for every pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from jlrun.tasks.base import Task
from jlrun.tasks.maps import (
    check_maps,
    cosines,
    is_deferred,
    mean_over_pixels,
    pixels_with_normal,
)

if TYPE_CHECKING:
    from torchmetrics import Metric


class SurfaceNormals(Task):
    """A unit vector for each pixel: 1 − cosine over the valid pixels of the batch.

    Target: float32 ``(B, 3, H, W)``, unit vectors, zero where there is none. Logits
    ``(B, 3, h, w)``, normalised after they are resized to the target.

    Differs from the published code in: a vector whose components sum to 0 is valid like others.

    Args:
        metric: primary metric, for selection and Δm; None: within_11.25 in selection, and in Δm
            the mean over `compared`.
    """

    primary = "within_11.25"
    compared = ("mean_angle", "median_angle", "within_11.25", "within_22.5", "within_30")
    dense = True

    def __init__(
        self,
        metric: Literal["within_11.25", "within_22.5", "within_30", "mean_angle", "median_angle"]
        | None = None,
    ) -> None:
        self.prefer(metric)

    def num_outputs(self, classes: tuple[str, ...]) -> int:
        return 3

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        check_maps(logits)
        return mean_over_pixels(1 - cosines(logits, target), pixels_with_normal(target))

    def probabilities(self, logits: Tensor) -> Tensor:
        check_maps(logits)
        return logits

    def decide(self, probabilities: Tensor) -> Tensor:
        return F.normalize(probabilities, dim=1)

    def metrics(self, classes: tuple[str, ...]) -> dict[str, Metric]:
        from jlrun.tasks.dense_metrics import AngleErrors

        return {"normals": AngleErrors()}

    def invalid(self, targets: Tensor, classes: tuple[str, ...]) -> str:
        if is_deferred(targets):
            return ""
        if targets.ndim != 4 or targets.shape[1] != 3:
            return f"expected maps (rows, 3, height, width), found shape {tuple(targets.shape)}"
        return "" if torch.isfinite(targets).all() else "normals must be finite numbers"
