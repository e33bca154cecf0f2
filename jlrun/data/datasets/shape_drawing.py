"""Drawing of one flat, antialiased shape per image."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

SHAPES = ("circle", "cross", "ring", "square", "star", "triangle")
SUBPIXELS = 4  # along each axis
SQUARE_HALF_SIDE = 0.82
CROSS_HALF_WIDTH = 0.33
RING_INNER_RADIUS = 0.55
_SUBPIXELS_AT_ONCE = 2**22


def _in_cross(x: Tensor, y: Tensor) -> Tensor:
    x, y = x.abs(), y.abs()
    return (torch.minimum(x, y) <= CROSS_HALF_WIDTH) & (torch.maximum(x, y) <= 1)


def _in_ring(x: Tensor, y: Tensor) -> Tensor:
    squared = x.square() + y.square()
    return (squared >= RING_INNER_RADIUS**2) & (squared <= 1)


def _in_star(x: Tensor, y: Tensor) -> Tensor:
    # Five lines make a pentagram: its points lie beyond at most one of them.
    angles = [2 * math.pi * tip / 5 - math.pi / 2 for tip in range(5)]
    towards_tips = torch.stack([x * math.cos(a) + y * math.sin(a) for a in angles])
    return (towards_tips > math.cos(2 * math.pi / 5)).sum(dim=0) <= 1


# Whether points are inside, in coordinates of the shape's centre and radius; y points down.
_INSIDE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "circle": lambda x, y: x.square() + y.square() <= 1,
    "cross": _in_cross,
    "ring": _in_ring,
    "square": lambda x, y: torch.maximum(x.abs(), y.abs()) <= SQUARE_HALF_SIDE,
    "star": _in_star,
    "triangle": lambda x, y: (y <= 0.5) & (math.sqrt(3) * x.abs() <= 1 + y),
}
assert tuple(_INSIDE) == SHAPES


def coverage(shape: Tensor, centre: Tensor, radius: Tensor, size: int) -> Tensor:
    """Return the share of each pixel that a shape covers, float32 ``(N, 1, size, size)``.

    Args:
        shape: index into `SHAPES`, ``(N,)``.
        centre: x and y as shares of the image's width and height, from the top left, ``(N, 2)``.
        radius: of the circle about the shape, as a share of the width, ``(N,)``. Corners of the
            square and the cross stick out of it by at most 0.16 of it.
        size: height and width in pixels.
    """
    side = size * SUBPIXELS
    at = (torch.arange(side) + 0.5) / side
    covered = torch.zeros(len(shape), 1, size, size)
    for index, inside in enumerate(_INSIDE.values()):
        rows = (shape == index).nonzero().flatten()
        for some in rows.split(max(1, _SUBPIXELS_AT_ONCE // side**2)):
            offset = (at - centre[some, :, None]) / radius[some, None, None]
            mask = inside(offset[:, 0, None, :], offset[:, 1, :, None])
            covered[some] = F.avg_pool2d(mask.float()[:, None], SUBPIXELS)
    return covered


def hsv_to_rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Return colours, ``(N, 3)`` in [0, 1].

    Args:
        hue: in degrees, ``(N,)``.
        saturation: in [0, 1], ``(N,)``.
        value: in [0, 1], ``(N,)``.
    """
    sector = (torch.tensor([5.0, 3.0, 1.0]) + hue[:, None] / 60) % 6
    dark = torch.minimum(sector, 4 - sector).clamp(0, 1)
    return value[:, None] * (1 - saturation[:, None] * dark)
