"""Sums over the pixels of each image, from which the scores of any set of images follow.

An image is what a split is resampled by: pixels of one image resemble each other.
"""

# B images, K classes

from __future__ import annotations

import torch
from torch import Tensor

from jlrun.engine import holds_float64
from jlrun.tasks.maps import cosines, labelled_pixels, pixels_with_normal, upsample

DEPTH_RATIO = 1.25
ANGLES = (11.25, 22.5, 30.0)  # degrees
DEGREES_PER_BIN = 0.25
_BINS = round(180 / DEGREES_PER_BIN)


def segmentation_sums(probabilities: Tensor, target: Tensor) -> Tensor:
    """Return pixels of each class that are right, predicted, and labelled, float64 ``(B, 3K)``.

    NaN for an image with a NaN among its probabilities ``(B, K, h, w)``.
    """
    k, images = probabilities.shape[1], torch.arange(len(target), device=target.device)
    predicted = winning_classes(probabilities, target.shape[1:])
    valid = labelled_pixels(target, k)
    offset = (k * images)[:, None, None]
    right = valid & (predicted == target)
    kinds = ((target, right), (predicted, valid), (target, valid))
    counts = [
        torch.bincount((offset + classes.long())[chosen], minlength=k * len(target))
        for classes, chosen in kinds
    ]
    sums = torch.cat([count.view(len(target), k) for count in counts], dim=1).cpu().double()
    return sums.where(~_undefined(probabilities)[:, None], torch.nan)


def winning_classes(probabilities: Tensor, size: torch.Size) -> Tensor:
    """Return the class of each pixel, of maps ``(B, K, h, w)`` brought to ``size``.

    Logarithms are resized: the same classes win as if it were the logits.
    """
    tiny = torch.finfo(probabilities.dtype).tiny
    return upsample(probabilities.clamp(min=tiny).log(), size).argmax(dim=1)


def depth_sums(predictions: Tensor, target: Tensor) -> Tensor:
    """Return the sums of |p − d|, of |p − d| / d, of max(p/d, d/p) < 1.25, and of valid pixels.

    Args:
        predictions: p ``(B, 1, h, w)``.
        target: d ``(B, H, W)``, valid above 0.

    Returns:
        float64 ``(B, 4)``.
    """
    valid = target > 0
    d = torch.where(valid, target, 1.0)
    p = torch.where(valid, upsample(predictions, target.shape[1:])[:, 0], 1.0)
    error = (p - d).abs()
    within = (p < DEPTH_RATIO * d) & (d < DEPTH_RATIO * p) & valid
    return _totals(error, error / d, within, valid)


def angle_sums(predictions: Tensor, target: Tensor) -> Tensor:
    """Return the sums of angles, of those below each of `ANGLES`, of valid pixels, a histogram.

    Args:
        predictions: vectors ``(B, 3, h, w)``.
        target: unit vectors ``(B, 3, H, W)``, valid where they are not zero.

    Returns:
        float64 ``(B, 2 + 3 + 720)``, in degrees; bins have a width of 0.25°.
    """
    valid = pixels_with_normal(target)
    angle = cosines(predictions, target).clamp(-1, 1).acos().rad2deg()
    angle = torch.where(valid, angle, 0.0)
    below = ((angle < limit) & valid for limit in ANGLES)
    bins = (angle.nan_to_num() / DEGREES_PER_BIN).long().clamp(max=_BINS - 1)
    images = torch.arange(len(target), device=target.device)[:, None, None]
    counts = torch.bincount((_BINS * images + bins)[valid], minlength=_BINS * len(target))
    histogram = counts.view(len(target), _BINS).cpu().double()
    return torch.cat([_totals(angle, *below, valid), histogram], dim=1)


def map_totals(target: Tensor) -> Tensor:
    """Return the sum of each map ``(B, …)``, float32: what tells images apart."""
    return _totals(target.nan_to_num())[:, 0].float()


def _totals(*maps: Tensor) -> Tensor:
    """Return the sum of each map ``(B, …)`` as a column, in float64; MPS sums in float32."""
    exact = torch.float64 if holds_float64(maps[0].device) else torch.float32
    return torch.stack([x.flatten(1).sum(dim=1, dtype=exact).cpu().double() for x in maps], dim=1)


def _undefined(maps: Tensor) -> Tensor:
    return maps.isnan().flatten(1).any(dim=1).cpu()
