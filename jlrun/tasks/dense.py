"""Dense tasks, with a target for every pixel: segmentation, depth, surface normals."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from jlrun.tasks.base import Metric, Task
from jlrun.tasks.image_sums import angle_sums, depth_sums, segmentation_sums
from jlrun.tasks.maps import (
    check_maps,
    cosines,
    is_deferred,
    labelled_pixels,
    mean_over_pixels,
    pixels_with_normal,
    upsample,
)
from jlrun.wording import counted

UNLABELLED = (-1, 255)


class Segmentation(Task):
    """One of K classes for each pixel: cross-entropy over the labelled pixels of the batch.

    Target: integers ``(B, H, W)``, -1 or 255 where a pixel is unlabelled. Logits
    ``(B, K, h, w)``.

    Args:
        metric: primary metric, for selection and Δm; None: miou in selection, and in Δm
            the mean over `compared`.
    """

    primary = "miou"
    compared = ("miou", "pixel_accuracy")
    dense = True

    def __init__(self, metric: Literal["miou", "pixel_accuracy"] | None = None) -> None:
        self.prefer(metric)

    def num_outputs(self, classes: tuple[str, ...]) -> int:
        return len(classes)

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        check_maps(logits)
        log_p = upsample(logits, target.shape[1:]).log_softmax(dim=1)
        valid = labelled_pixels(target, logits.shape[1])
        label = torch.where(valid, target.long(), 0)
        # F.cross_entropy on maps is not deterministic on CUDA.
        errors = -log_p.gather(1, label[:, None])[:, 0]
        return mean_over_pixels(errors, valid)

    def probabilities(self, logits: Tensor) -> Tensor:
        check_maps(logits)
        return logits.softmax(dim=1)

    def decide(self, probabilities: Tensor) -> Tensor:
        return probabilities.argmax(dim=1)

    def metrics(self, classes: tuple[str, ...]) -> dict[str, Metric]:
        from jlrun.tasks.dense_metrics import SegmentationScores

        return {"segmentation": SegmentationScores(len(classes))}

    def image_sums(self, probabilities: Tensor, target: Tensor) -> Tensor:
        return segmentation_sums(probabilities, target)

    def invalid(self, targets: Tensor, classes: tuple[str, ...]) -> str:
        if is_deferred(targets):
            return ""
        if targets.ndim != 3 or targets.is_floating_point():
            return (
                f"expected integer maps (rows, height, width), found {targets.dtype} "
                f"{tuple(targets.shape)}"
            )
        return wrong_labels(targets, len(classes))


def wrong_labels(target: Tensor, num_classes: int) -> str:
    """Return a line on labels that are neither a class nor `UNLABELLED`; '' if there are none."""
    known = labelled_pixels(target, num_classes)
    for value in UNLABELLED:
        known |= target == value
    wrong = target[~known]
    if not len(wrong):
        return ""
    return (
        f"{counted(len(wrong), 'pixel')} labelled outside 0..{num_classes - 1}, for example "
        f"{int(wrong[0])}; -1 or 255 mark unlabelled ones"
    )


class Depth(Task):
    """Depth (or disparity) for each pixel: absolute error over the valid pixels of the batch.

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

    def image_sums(self, probabilities: Tensor, target: Tensor) -> Tensor:
        return depth_sums(probabilities, target)

    def invalid(self, targets: Tensor, classes: tuple[str, ...]) -> str:
        if is_deferred(targets):
            return ""
        if targets.ndim != 3:
            return f"expected maps (rows, height, width), found shape {tuple(targets.shape)}"
        return "" if torch.isfinite(targets).all() else "depths must be finite numbers"


class SurfaceNormals(Task):
    """Unit vector for each pixel: 1 − cosine over the valid pixels of the batch.

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

    def image_sums(self, probabilities: Tensor, target: Tensor) -> Tensor:
        return angle_sums(probabilities, target)

    def invalid(self, targets: Tensor, classes: tuple[str, ...]) -> str:
        if is_deferred(targets):
            return ""
        if targets.ndim != 4 or targets.shape[1] != 3:
            return f"expected maps (rows, 3, height, width), found shape {tuple(targets.shape)}"
        return "" if torch.isfinite(targets).all() else "normals must be finite numbers"
