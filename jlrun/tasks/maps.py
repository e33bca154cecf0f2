"""Maps of dense tasks: resizing, masks, and means over the pixels that have a target."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from jlrun.errors import UserError


def check_maps(logits: Tensor) -> None:
    """Check that logits are maps ``(B, outputs, h, w)``.

    Raises:
        UserError: if they are not.
    """
    if logits.ndim != 4:
        raise UserError.of(
            "heads",
            f"the logits of a dense task must be maps (rows, outputs, height, width), found shape "
            f"{tuple(logits.shape)}. Set backbone/image=dilated_resnet heads=aspp",
        )


def upsample(maps: Tensor, size: torch.Size) -> Tensor:
    """Resize ``(B, K, h, w)`` to ``size`` bilinearly, corners aligned as in the published code."""
    if maps.shape[2:] == size:
        return maps
    return F.interpolate(maps, tuple(size), mode="bilinear", align_corners=True)


def mean_over_pixels(errors: Tensor, valid: Tensor) -> Tensor:
    """Return losses of rows ``(B,)`` whose mean is that of the errors over all valid pixels.

    ℓ_i = (B / Σ_j n_j) · Σ_p e_ip over the n_i valid pixels of row i: as in the published code
    every pixel of the batch counts the same, and a row counts by its number of valid pixels. A row
    without any has loss 0 and no gradient, and changes neither the mean nor the others' share of
    it. Micro-batches average over their own pixels.

    Args:
        errors: ``(B, H, W)``, finite.
        valid: Bool ``(B, H, W)``, the pixels that have a target.
    """
    sums = torch.where(valid, errors, 0.0).flatten(1).sum(dim=1)
    return sums * (len(valid) / valid.sum().clamp(min=1))


def is_deferred(targets: Tensor) -> bool:
    """Whether a column ``(N, 0)`` is the placeholder for maps that are read with the inputs.

    Such maps are checked when they are read.
    """
    return targets.ndim == 2 and targets.shape[1] == 0


def labelled_pixels(target: Tensor, num_classes: int) -> Tensor:
    """Return the mask of pixels that have a class, of the shape of ``target``."""
    return (target >= 0) & (target < num_classes)


def cosines(logits: Tensor, target: Tensor) -> Tensor:
    """Return the cosine of predicted and true direction, ``(B, H, W)``; 0 where there is none."""
    predicted = F.normalize(upsample(logits, target.shape[2:]), dim=1)
    return (predicted * target).sum(dim=1)


def pixels_with_normal(target: Tensor) -> Tensor:
    """Return the mask of pixels ``(B, H, W)`` that have a direction."""
    return (target != 0).any(dim=1)
