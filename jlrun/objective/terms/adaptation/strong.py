"""Strong augmentation of normalised images, independent of the normalisation."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from jlrun.data.augmentation.image_ops import affine, box_mask, uniform

_CHANGES = 2  # per image
_LARGEST_FACTOR = 0.9  # of contrast and saturation, from 1
_LARGEST_BRIGHTNESS = 0.4  # share of the range of values
_LARGEST_ROTATION = 30.0  # degrees
_LARGEST_SHIFT = 0.3  # share of the side
_CUTOUT = 0.5  # side of the square, as a share of the image's

# images (B, C, H, W), magnitudes in [−1, 1) (B, 1, 1, 1), generator -> images
Change = Callable[[Tensor, Tensor, Generator], Tensor]


@torch.no_grad()
def strongly_augmented(images: Tensor, generator: Generator) -> Tensor:
    """Return images ``(B, C, H, W)`` with two changes each, and a square cut out.

    After RandAugment (Cubuk et al., 2020) as FixMatch uses it, then Cutout (DeVries & Taylor,
    2017). Differs from it in: the changes are brightness, contrast, saturation (of three channels),
    rotation, shifts and none, with FixMatch's ranges where an operation is the same; there are no
    mirror images, which letters and digits don't survive. The normalisation of the inputs need not
    be known: contrast is about each image's own mean, values stay between the extremes of the
    batch, and what is uncovered or cut out is 0, the mean colour.

    Args:
        images: float, normalised.
        generator: source of all randomness.
    """
    dims = (0, 2, 3)
    low, high = images.amin(dims, keepdim=True), images.amax(dims, keepdim=True)
    changed = images
    for _ in range(_CHANGES):
        changed = _some_change(changed, high - low, generator).clamp(low, high)
    return _cut_out(changed, generator)


def _some_change(images: Tensor, spread: Tensor, generator: Generator) -> Tensor:
    changes: tuple[Change, ...] = (_keep, _brighten(spread), _contrast, _saturate, _rotate, _shift)
    rows = len(images)
    # Drawn where the generator lives: the choice of changes needs no transfer from the device.
    kinds = torch.randint(len(changes), (rows,), generator=generator, device=generator.device)
    magnitudes = uniform((rows, 1, 1, 1), generator, images.device).to(images.dtype) * 2 - 1
    result = images.clone()
    for i, change in enumerate(changes):
        chosen = (kinds == i).nonzero().flatten().to(images.device)
        if len(chosen):
            result[chosen] = change(images[chosen], magnitudes[chosen], generator)
    return result


def _keep(images: Tensor, magnitudes: Tensor, generator: Generator) -> Tensor:
    return images


def _brighten(spread: Tensor) -> Change:
    def change(images: Tensor, magnitudes: Tensor, generator: Generator) -> Tensor:
        return images + _LARGEST_BRIGHTNESS * magnitudes * spread

    return change


def _contrast(images: Tensor, magnitudes: Tensor, generator: Generator) -> Tensor:
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (1 + _LARGEST_FACTOR * magnitudes) * (images - mean)


def _saturate(images: Tensor, magnitudes: Tensor, generator: Generator) -> Tensor:
    if images.shape[1] != 3:
        return images
    gray = images.mean(dim=1, keepdim=True)
    return gray + (1 + _LARGEST_FACTOR * magnitudes) * (images - gray)


def _rotate(images: Tensor, magnitudes: Tensor, generator: Generator) -> Tensor:
    return affine(images, 0.0, _LARGEST_ROTATION, generator)


def _shift(images: Tensor, magnitudes: Tensor, generator: Generator) -> Tensor:
    return affine(images, _LARGEST_SHIFT, 0.0, generator)


def _cut_out(images: Tensor, generator: Generator) -> Tensor:
    """Set a square around a random pixel to 0, as far as it is inside."""
    rows, _, height, width = images.shape
    y, x = uniform((2, rows), generator, images.device)
    half = _CUTOUT * min(height, width) / 2
    top, left = (y * height - half).round(), (x * width - half).round()
    inside = box_mask(top, top + 2 * half, left, left + 2 * half, height, width)
    return images.masked_fill(inside, 0)
