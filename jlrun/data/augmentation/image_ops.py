"""Random operations on a batch of images ``(B, C, H, W)``, with a draw of its own for every row.

The few numbers per row are drawn where the generator lives (usually the CPU, so that all devices
see the same ones) and moved to the images.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F


def uniform(shape: tuple[int, ...], generator: Generator, device: torch.device) -> Tensor:
    """Draw from U[0, 1) with ``generator`` and move the result to ``device``."""
    drawn = torch.rand(shape, generator=generator, device=generator.device)
    return drawn.to(device, non_blocking=True)


def crop(images: Tensor, padding: int, generator: Generator) -> Tensor:
    """Pad by ``padding`` zeros on every side and cut a window of the original size at random."""
    rows, _, height, width = images.shape
    windows = F.pad(images, [padding] * 4).unfold(2, height, 1).unfold(3, width, 1)
    top, left = (uniform((2, rows), generator, images.device) * (2 * padding + 1)).long()
    return windows[torch.arange(rows, device=images.device), :, top, left]


def flip(images: Tensor, probability: float, generator: Generator) -> Tensor:
    """Mirror each image left to right with ``probability``."""
    chosen = uniform((len(images), 1, 1, 1), generator, images.device) < probability
    return torch.where(chosen, images.flip(3), images)


def affine(images: Tensor, shift: float, rotate: float, generator: Generator) -> Tensor:
    """Rotate about the centre by up to ``rotate`` degrees; shift by up to ``shift`` of the size.

    One bilinear resampling does both; outside the image is zero.
    """
    rows, _, height, width = images.shape
    u = uniform((3, rows), generator, images.device) * 2 - 1
    angle = u[0] * math.radians(rotate)
    cos, sin = angle.cos(), angle.sin()
    # Grid coordinates run from -1 to 1 on both axes: a rotation must undo the aspect ratio.
    row_x = torch.stack([cos, -sin * (height / width), u[1] * 2 * shift], dim=1)
    row_y = torch.stack([sin * (width / height), cos, u[2] * 2 * shift], dim=1)
    theta = torch.stack([row_x, row_y], dim=1).to(images.dtype)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def erase(images: Tensor, probability: float, generator: Generator) -> Tensor:
    """Fill a box of each image with noise, with ``probability``.

    Algorithm 1 of Zhong et al., "Random Erasing Data Augmentation", AAAI 2020, with its values: the
    box covers 2 % to 40 % of the image, its height over width lies in [0.3, 1 / 0.3], its pixels
    become uniform noise. Differs from it in: the ratio is drawn on a log scale, so that wide and
    high boxes are alike, and a box that does not fit is cut to the image instead of drawn again.
    """
    rows, _, height, width = images.shape
    chosen, area, ratio, y, x = uniform((5, rows), generator, images.device)
    area = (0.02 + 0.38 * area) * height * width
    ratio = torch.exp((2 * ratio - 1) * math.log(1 / 0.3))
    box_height = (area * ratio).sqrt().round().clamp(1, height)
    box_width = (area / ratio).sqrt().round().clamp(1, width)
    top = (y * (height - box_height + 1)).floor()
    left = (x * (width - box_width + 1)).floor()
    inside = box_mask(top, top + box_height, left, left + box_width, height, width)
    inside &= (chosen < probability)[:, None, None, None]
    return torch.where(inside, _noise_like(images, generator), images)


def box_mask(
    top: Tensor, bottom: Tensor, left: Tensor, right: Tensor, height: int, width: int
) -> Tensor:
    """Return a Bool mask ``(B, 1, H, W)`` of pixels in boxes given by four ``(B,)`` bounds.

    ``top`` and ``left`` are inside the box, ``bottom`` and ``right`` just outside of it.
    """
    y = torch.arange(height, device=top.device)
    x = torch.arange(width, device=top.device)
    in_rows = (y >= top[:, None]) & (y < bottom[:, None])
    in_columns = (x >= left[:, None]) & (x < right[:, None])
    return (in_rows[:, :, None] & in_columns[:, None, :])[:, None]


def _noise_like(images: Tensor, generator: Generator) -> Tensor:
    # Noise is as large as the images, so it is drawn on their device, seeded by the generator.
    seed = torch.randint(2**62, (), generator=generator, device=generator.device)
    local = torch.Generator(images.device).manual_seed(int(seed))
    return torch.rand(images.shape, generator=local, device=images.device, dtype=images.dtype)
