"""Random windows of images, enlarged to the whole size."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from jlrun.data.augmentation.image_ops import uniform

_MAX_RATIO = 4 / 3


def random_resized_crop(images: Tensor, smallest: float, generator: Generator) -> Tensor:
    """Cut a window out of each image ``(B, C, H, W)`` and enlarge it to the size of the image.

    The window covers a share of the area in [``smallest``, 1], is up to 4/3 times wider or higher
    than the image, and lies anywhere in it: the crop of Szegedy et al., "Going Deeper with
    Convolutions", CVPR 2015. Differs from it in: the ratio is drawn on a log scale, and a window
    that does not fit is cut to the image instead of drawn again.
    """
    rows, _, height, width = images.shape
    area, ratio, y, x = uniform((4, rows), generator, images.device)
    area = smallest + (1 - smallest) * area
    ratio = torch.exp((2 * ratio - 1) * math.log(_MAX_RATIO))
    box_height = ((area / ratio).sqrt() * height).round().clamp(1, height)
    box_width = ((area * ratio).sqrt() * width).round().clamp(1, width)
    top = (y * (height - box_height + 1)).floor()
    left = (x * (width - box_width + 1)).floor()
    return resized_crop(images, top, left, box_height, box_width)


def resized_crop(
    images: Tensor, top: Tensor, left: Tensor, height: Tensor, width: Tensor
) -> Tensor:
    """Enlarge a window of each image bilinearly to the size of the image.

    Pixels outside of a window have no influence on what becomes of it.

    Args:
        images: ``(B, C, H, W)``.
        top, left, height, width: of the windows in whole pixels, ``(B,)`` each, inside the image.
    """
    rows, columns = images.shape[2:]
    y, x = _positions(top, height, rows), _positions(left, width, columns)
    # To the coordinates of grid_sample, which run from -1 to 1 over the outer edges of the pixels.
    y, x = (2 * y + 1) / rows - 1, (2 * x + 1) / columns - 1
    shape = (len(images), rows, columns)
    grid = torch.stack([x[:, None, :].expand(shape), y[:, :, None].expand(shape)], dim=3)
    return F.grid_sample(images, grid.to(images.dtype), align_corners=False)


def _positions(start: Tensor, length: Tensor, side: int) -> Tensor:
    """Return where each of ``side`` pixels is taken from, in pixels of the image, ``(B, side)``."""
    pixel = torch.arange(side, device=start.device) + 0.5
    inside = (pixel * (length / side)[:, None] - 0.5).clamp(min=0)
    return start[:, None] + torch.minimum(inside, length[:, None] - 1)
