"""Metrics of dense tasks, over all pixels of a split that have a target.

Maps are reduced on the device they are on; the sums are kept on the CPU. The formulas are those of
the published evaluation of MTAN (Liu et al., "End-to-End Multi-Task Learning with Attention", CVPR
2019), over all pixels of the split together, as LibMTL does, instead of image by image.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from jlrun.engine import holds_float64
from jlrun.tasks.image_sums import ANGLES, DEPTH_RATIO, winning_classes
from jlrun.tasks.maps import cosines, labelled_pixels, pixels_with_normal, upsample

BINS_PER_DEGREE = 1000
NUM_BINS = 180 * BINS_PER_DEGREE + 1


def _totals(*maps: Tensor) -> Tensor:
    """Return the sum of each map, in float64 on the CPU; MPS sums in float32."""
    exact = torch.float64 if holds_float64(maps[0].device) else torch.float32
    return torch.stack([x.sum(dtype=exact).cpu().double() for x in maps])


class SegmentationScores(Metric):
    """Mean intersection over union of K classes, and the share of pixels that are right.

    Probabilities ``(B, K, h, w)`` against labels ``(B, H, W)``. Their logarithms are brought to the
    size of the target: the same classes win as if it were the logits, also after an ensemble's
    mean. A class that is neither present nor predicted is left out of the mean. With a NaN, as of
    an overflow, no score has a value.

    Args:
        num_classes: K.
    """

    full_state_update = False
    confusion: Tensor  # true × predicted
    undefined: Tensor  # values that are NaN

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        counts = torch.zeros(num_classes, num_classes, dtype=torch.long)
        self.add_state("confusion", counts, dist_reduce_fx="sum")
        self.add_state("undefined", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, probabilities: Tensor, target: Tensor) -> None:
        k = self.num_classes
        self.undefined += probabilities.isnan().sum().cpu()
        predicted = winning_classes(probabilities, target.shape[1:])
        valid = labelled_pixels(target, k)
        pairs = k * target[valid].long() + predicted[valid]
        # torchmetrics counts with K² numbers per pixel where algorithms must be deterministic.
        self.confusion += torch.bincount(pairs, minlength=k * k).view(k, k).cpu()

    def compute(self) -> dict[str, Tensor]:
        counts = self.confusion.double()
        if bool(self.undefined > 0):
            counts = torch.full_like(counts, torch.nan)
        hits = counts.diagonal()
        union = counts.sum(dim=0) + counts.sum(dim=1) - hits
        occurs = ~(union == 0)
        return {
            "miou": (hits[occurs] / union[occurs]).mean(),
            "pixel_accuracy": hits.sum() / counts.sum(),
        }


class DepthErrors(Metric):
    """Mean of |p − d| and |p − d| / d, and the share with max(p/d, d/p) < 1.25.

    Predictions p ``(B, 1, h, w)`` against depths d ``(B, H, W)``, where d > 0.
    """

    full_state_update = False
    sums: Tensor  # absolute, relative, within, number of pixels

    def __init__(self) -> None:
        super().__init__()
        self.add_state("sums", torch.zeros(4, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, predictions: Tensor, target: Tensor) -> None:
        valid = target > 0
        d, p = target[valid], upsample(predictions, target.shape[1:])[:, 0][valid]
        error = (p - d).abs()
        within = (p < DEPTH_RATIO * d) & (d < DEPTH_RATIO * p)
        self.sums += _totals(error, error / d, within, valid)

    def compute(self) -> dict[str, Tensor]:
        absolute, relative, within, count = self.sums
        return {
            "abs_err": absolute / count,
            "rel_err": relative / count,
            "within_1.25": within / count,
        }


class AngleErrors(Metric):
    """Mean and median angle in degrees, and the shares below 11.25°, 22.5° and 30°.

    Predicted vectors ``(B, 3, h, w)`` against unit vectors ``(B, 3, H, W)``, where these are not
    zero. The median is read off a histogram with bins of 0.001°: it is off by half of that at most.
    """

    full_state_update = False
    sums: Tensor  # angles, below each of `ANGLES`, number of pixels
    histogram: Tensor

    def __init__(self) -> None:
        super().__init__()
        sums = torch.zeros(2 + len(ANGLES), dtype=torch.float64)
        self.add_state("sums", sums, dist_reduce_fx="sum")
        bins = torch.zeros(NUM_BINS, dtype=torch.long)
        self.add_state("histogram", bins, dist_reduce_fx="sum")

    def update(self, predictions: Tensor, target: Tensor) -> None:
        valid = pixels_with_normal(target)
        angle = cosines(predictions, target)[valid].clamp(-1, 1).acos().rad2deg()
        self.sums += _totals(angle, *(angle < limit for limit in ANGLES), valid)
        bins = (angle[~angle.isnan()] * BINS_PER_DEGREE).long()
        self.histogram += torch.bincount(bins, minlength=NUM_BINS)[:NUM_BINS].cpu()

    def compute(self) -> dict[str, Tensor]:
        total, *below, count = self.sums
        shares = zip(ANGLES, below, strict=True)
        return {
            "mean_angle": total / count,
            "median_angle": self._median(),
            **{f"within_{limit:g}": number / count for limit, number in shares},
        }

    def _median(self) -> Tensor:
        """Return the mean of the two middle angles, each taken as the middle of its bin."""
        ranked = self.histogram.cumsum(dim=0)
        count = int(ranked[-1])
        if not count or bool(self.sums[0].isnan()):
            return torch.tensor(float("nan"))
        middle = torch.tensor([(count - 1) // 2, count // 2])
        bins = torch.searchsorted(ranked, middle, right=True)
        return (bins.double() + 0.5).mean() / BINS_PER_DEGREE
