"""Semantic segmentation: a class for every pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from jlrun.tasks.base import Task
from jlrun.tasks.maps import check_maps, is_deferred, labelled_pixels, mean_over_pixels, upsample

if TYPE_CHECKING:
    from torchmetrics import Metric

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
        f"{len(wrong)} pixels are labelled outside 0..{num_classes - 1}, for example "
        f"{int(wrong[0])}; -1 or 255 mark unlabelled ones"
    )
