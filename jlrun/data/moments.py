"""Means and standard deviations, exact also far from 0: of numbers, and of the pixels of images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from jlrun.data.rows import Rows
from jlrun.data.specs import ImageSpec, Spec

# Largest spacing of float64 at the numbers, as a share of their spread.
_COARSE = 0.01


@dataclass(frozen=True)
class Moments:
    """Moments of some numbers.

    Attributes:
        mean: 0 without any number.
        std: 1 where all numbers are equal, so that it can be divided by.
        lost: whether the spacing of float64 at this size is too coarse for their spread; whole
            numbers are exact up to 2⁵³.
    """

    mean: float
    std: float
    lost: bool = False


def moments(parts: Iterable[np.ndarray]) -> Moments:
    """Return the moments of all parts, arrays of any shape; NaN does not count.

    The first number is subtracted from all, and parts are merged as by Chan et al., "Algorithms for
    Computing the Sample Variance", 1983: equal numbers have a spread of exactly 0.
    """
    count, origin, mean, squares, largest = 0, 0.0, 0.0, 0.0, 0.0
    for part in parts:
        values = part[~np.isnan(part)].astype(np.float64)
        if not len(values):
            continue
        if count == 0:
            origin = float(values[0])
        largest = max(largest, float(np.abs(values).max()))
        values = values - origin
        own = float(values.mean())
        delta, total = own - mean, count + len(values)
        squares += float(((values - own) ** 2).sum()) + delta**2 * count * len(values) / total
        mean += delta * len(values) / total
        count = total
    if count == 0:
        return Moments(0.0, 1.0)
    std = (squares / count) ** 0.5
    step = float(np.spacing(largest))
    if std < 2 * step:  # equal but for rounding
        return Moments(origin + mean, 1.0, lost=largest > 2**53)
    return Moments(origin + mean, std, lost=step > _COARSE * std)


MAX_ROWS = 2_000
MIN_STD = 1e-3
_ROWS_AT_ONCE = 100


def measure_missing_statistics(specs: Mapping[str, Spec], rows: Rows) -> dict[str, Spec]:
    """Return ``specs`` with the mean and standard deviation of images filled in where empty."""
    return {
        name: _measured(spec, rows, name) if isinstance(spec, ImageSpec) and not spec.mean else spec
        for name, spec in specs.items()
    }


def _measured(spec: ImageSpec, rows: Rows, modality: str) -> ImageSpec:
    mean, std = pixel_statistics(rows, modality, spec.channels)
    return replace(spec, mean=tuple(mean.tolist()), std=tuple(std.tolist()))


def pixel_statistics(rows: Rows, modality: str, channels: int) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation per channel, ``(C,)`` each, of values in [0, 1].

    Measured on at most `MAX_ROWS` evenly spaced rows that have the modality. The standard deviation
    is at least `MIN_STD`, so that a constant channel can be divided by it. Without any image they
    are 0 and 1.
    """
    count = 0
    total = torch.zeros(channels, dtype=torch.float64)
    squares = torch.zeros(channels, dtype=torch.float64)
    chosen = torch.linspace(0, len(rows) - 1, min(len(rows), MAX_ROWS)).round().long()
    for some in chosen.split(_ROWS_AT_ONCE):
        batch = rows.fetch(some)
        images = batch.inputs[modality]
        if modality in batch.present:
            images = images[batch.present[modality]]
        values = images.double() / 255
        count += values[:, 0].numel()
        total += values.sum(dim=(0, 2, 3))
        squares += values.square().sum(dim=(0, 2, 3))
    if count == 0:
        return total, torch.ones_like(total)
    mean = total / count
    return mean, (squares / count - mean.square()).clamp(min=0).sqrt().clamp(min=MIN_STD)
