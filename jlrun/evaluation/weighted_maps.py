"""Scores of maps, of images that count several times or not at all: from sums over their pixels."""

# N images, K classes, R resamples;  w (R, N) how often each image counts

from __future__ import annotations

import numpy as np

from jlrun.evaluation.weighted_sums import Array, Weighted, mean, ratio
from jlrun.tasks.image_sums import ANGLES, DEGREES_PER_BIN, DEPTH_RATIO


def of_segments(sums: Array) -> dict[str, Weighted]:
    """Scores from `segmentation_sums`, ``(N, 3K)``."""
    hits, predicted, occurring = np.split(sums, 3, axis=1)

    def miou(w: Array) -> Array:
        found = w @ hits
        return mean(ratio(found, w @ predicted + w @ occurring - found))

    def pixel_accuracy(w: Array) -> Array:
        return ratio(w @ hits.sum(axis=1), w @ occurring.sum(axis=1))

    return {"miou": miou, "pixel_accuracy": pixel_accuracy}


def of_depths(sums: Array) -> dict[str, Weighted]:
    """Scores from `depth_sums`, ``(N, 4)``."""
    return {
        "abs_err": _share(sums, 0),
        "rel_err": _share(sums, 1),
        f"within_{DEPTH_RATIO:g}": _share(sums, 2),
    }


def of_angles(sums: Array) -> dict[str, Weighted]:
    """Scores from `angle_sums`: ``(N, 2 + …)``, then a histogram of the angles."""
    known = 2 + len(ANGLES)
    pixels, histogram = sums[:, :known], sums[:, known:]
    below = {f"within_{limit:g}": _share(pixels, 1 + i) for i, limit in enumerate(ANGLES)}
    return {"mean_angle": _share(pixels, 0), "median_angle": _median(histogram), **below}


def _share(sums: Array, column: int) -> Weighted:
    """Return a sum over the number of pixels, which is the last column."""
    return lambda w: ratio(w @ sums[:, column], w @ sums[:, -1])


def _median(histogram: Array) -> Weighted:
    """Return the median angle in degrees, as if angles were spread evenly over their bin."""

    def median(w: Array) -> Array:
        counts = w @ histogram
        ranked = counts.cumsum(axis=1)
        half = ranked[:, -1:] / 2
        place = (ranked < half).sum(axis=1, keepdims=True).clip(max=counts.shape[1] - 1)
        inside = np.take_along_axis(counts, place, axis=1)
        before = np.take_along_axis(ranked, place, axis=1) - inside
        return DEGREES_PER_BIN * (place + ratio(half - before, inside))[:, 0]

    return median
