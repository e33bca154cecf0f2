"""Operations on a batch of images ``(B, C, H, W)``, drawn or set independently for every row.

The few numbers per row are drawn where the generator lives (usually the CPU, so that all devices
see the same ones) and moved to the images. Those on colours take images in [0, 1] and a strength
per row; changes of hue and saturation leave images with other than three channels as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from jlrun.data.pixel_order import is_channels_last, rows_at

_MAX_RATIO = 4 / 3


@dataclass(frozen=True)
class RowDraws:
    """Numbers for some of a batch's rows: those that they would get if all were drawn for.

    Attributes:
        generator: of the batch.
        count: rows of the batch.
        start, stop: the first of the rows, and the one after the last.
    """

    generator: Generator
    count: int
    start: int
    stop: int


Draws = Generator | RowDraws


def uniform(shape: tuple[int, ...], generator: Draws, device: torch.device) -> Tensor:
    """Draw from U[0, 1), for each row along the last axis, and move the result to ``device``."""
    if isinstance(generator, RowDraws):
        drawn = uniform((*shape[:-1], generator.count), generator.generator, device)
        return drawn[..., generator.start : generator.stop]
    drawn = torch.rand(shape, generator=generator, device=generator.device)
    return drawn.to(device, non_blocking=True)


def crop(images: Tensor, padding: int, generator: Draws) -> Tensor:
    """Pad by ``padding`` zeros on every side and cut a window of the original size at random."""
    rows, channels, height, width = images.shape
    top, left = (uniform((2, rows), generator, images.device) * (2 * padding + 1)).long()
    if images.device.type != "cpu":
        windows = F.pad(images, [padding] * 4).unfold(2, height, 1).unfold(3, width, 1)
        return windows[torch.arange(rows, device=images.device), :, top, left]
    # A processor copies whole lines at once, of ``width`` numbers, or pixels of all channels, from
    # any place on.
    whole = is_channels_last(images)
    layout = torch.channels_last if whole else torch.contiguous_format
    padded = F.pad(images, [padding] * 4).contiguous(memory_format=layout)
    image, channel, line, pixel = padded.stride()
    length = width * channels if whole else width
    lines = padded.as_strided((padded.numel() - length + 1, length), (1, 1))
    down = torch.arange(height) * line
    if not whole:
        down = torch.arange(channels)[:, None] * channel + down
    start = torch.arange(rows) * image + top * line + left * pixel
    cut = lines.index_select(0, (start[:, None] + down.flatten()).flatten())
    if whole:
        return cut.view(rows, height, width, channels).permute(0, 3, 1, 2)
    return cut.view(images.shape)


def flip(images: Tensor, probability: float, generator: Draws) -> Tensor:
    """Mirror each image left to right with ``probability``."""
    rows = len(images)
    chosen = uniform((rows,), generator, images.device) < probability
    row = torch.arange(rows, device=images.device) + rows * chosen
    return rows_at(torch.cat([images, images.flip(3)]), row)


def affine(images: Tensor, shift: float, rotate: float, generator: Draws) -> Tensor:
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


def erase(images: Tensor, probability: float, generator: Draws) -> Tensor:
    """Fill a box of each image with noise, with ``probability``.

    Algorithm 1 of Zhong et al., "Random Erasing Data Augmentation", AAAI 2020, with its values: the
    box covers 2 % to 40 % of the image, its height over width lies in [0.3, 1 / 0.3], its pixels
    become uniform noise. Differs from it in: the ratio is drawn on a log scale, so that wide and
    high boxes are equally likely; a box that does not fit is cut to the image, not drawn again.
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


def _noise_like(images: Tensor, generator: Draws) -> Tensor:
    if isinstance(generator, RowDraws):
        all_rows = images.new_empty(()).expand(generator.count, *images.shape[1:])
        return _noise_like(all_rows, generator.generator)[generator.start : generator.stop]
    # Noise is as large as the images, so it is drawn on their device, seeded by the generator.
    seed = torch.randint(2**62, (), generator=generator, device=generator.device)
    local = torch.Generator(images.device).manual_seed(int(seed))
    return torch.rand(images.shape, generator=local, device=images.device, dtype=images.dtype)


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

    Pixels outside of a window do not influence the result.

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
