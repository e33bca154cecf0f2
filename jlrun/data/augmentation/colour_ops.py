"""Colours and sharpness of a batch of images ``(B, C, H, W)`` in [0, 1], by a strength per row.

Changes of hue and saturation leave images with other than three channels as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

# Luma of ITU-R BT.601 to four digits, as torchvision rounds it for tensors.
_LUMA = (0.2989, 0.587, 0.114)


def adjust_brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Multiply the pixels of each image by its factor ``(B,)``: 0 is black, 1 changes nothing."""
    return (images * _per_row(factor)).clamp(0, 1)


def adjust_contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Move pixels away from the image's mean luma, by factors ``(B,)``: 0 is flat."""
    return _blend(images, _luma(images).mean(dim=(1, 2, 3), keepdim=True), factor)


def adjust_saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Move pixels away from their own luma, by factors ``(B,)``: 0 is grayscale."""
    return images if images.shape[1] != 3 else _blend(images, _luma(images), factor)


def adjust_hue(images: Tensor, turn: Tensor) -> Tensor:
    """Turn the hue of each image by ``turn`` ``(B,)``, as a share of the colour circle."""
    if images.shape[1] != 3:
        return images
    hue, saturation, value = _hue_saturation_value(images)
    # Each channel is a trapezoid over the circle of hues, with its peak at its own colour.
    offset = torch.tensor([5.0, 3.0, 1.0], dtype=images.dtype, device=images.device)
    k = (offset.view(3, 1, 1) + 6 * (hue + _per_row(turn))) % 6
    return value - value * saturation * torch.minimum(k, 4 - k).clamp(0, 1)


def to_grayscale(images: Tensor) -> Tensor:
    """Give every channel the luma."""
    return images if images.shape[1] != 3 else _luma(images).expand_as(images)


def solarize(images: Tensor, threshold: float = 0.5) -> Tensor:
    """Invert the pixels that are at least ``threshold``."""
    return torch.where(images >= threshold, 1 - images, images)


def gaussian_blur(images: Tensor, sigma: Tensor, size: int) -> Tensor:
    """Blur each image by a Gaussian of ``sigma`` pixels ``(B,)``, mirrored at the borders.

    Args:
        images: ``(B, C, H, W)``.
        sigma: ``(B,)``, above 0.
        size: pixels that are averaged on each axis, odd; cut to what mirroring allows,
            2 · side − 1.
    """
    for dim in (2, 3):
        images = _blur_axis(images, sigma, min(size, 2 * images.shape[dim] - 1), dim)
    return images


def _blur_axis(images: Tensor, sigma: Tensor, size: int, dim: int) -> Tensor:
    reach, length = size // 2, images.shape[dim]
    away = torch.arange(-reach, reach + 1, dtype=images.dtype, device=images.device)
    kernel = torch.exp(-0.5 * (away / sigma[:, None].to(images.dtype)).square())
    kernel = kernel / kernel.sum(dim=1, keepdim=True)
    border = [0, 0, reach, reach] if dim == 2 else [reach, reach, 0, 0]
    padded = F.pad(images, border, mode="reflect")
    blurred = torch.zeros_like(images)
    for i in range(size):
        blurred += padded.narrow(dim, i, length) * _per_row(kernel[:, i])
    return blurred


def _per_row(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)


def _blend(images: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    return torch.lerp(other.expand_as(images), images, _per_row(factor.to(images.dtype))).clamp(
        0, 1
    )


def _luma(images: Tensor) -> Tensor:
    """Return ``(B, 1, H, W)``: of other than three channels the mean."""
    if images.shape[1] != 3:
        return images.mean(dim=1, keepdim=True)
    weights = torch.tensor(_LUMA, dtype=images.dtype, device=images.device)
    return (images * weights.view(3, 1, 1)).sum(dim=1, keepdim=True)


def _hue_saturation_value(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the three, ``(B, 1, H, W)`` each, in [0, 1]; the hue of gray is 0."""
    red, green, blue = images.split(1, dim=1)
    value, low = images.amax(dim=1, keepdim=True), images.amin(dim=1, keepdim=True)
    chroma = value - low
    some = torch.where(chroma > 0, chroma, 1)
    sixths = torch.where(
        value == red,
        (green - blue) / some,
        torch.where(value == green, 2 + (blue - red) / some, 4 + (red - green) / some),
    )
    return sixths / 6 % 1, chroma / torch.where(value > 0, value, 1), value
