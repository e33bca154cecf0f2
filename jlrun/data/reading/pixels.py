"""Pixel statistics of a data set, to normalise its images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from jlrun.data.rows import Rows
from jlrun.data.specs import ImageSpec, Spec

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
