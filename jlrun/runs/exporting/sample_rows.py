"""Rows made up for a model's inputs, with all that real ones may hold: gaps, unknown tokens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from jlrun.data.specs import AudioSpec, ImageSpec, SeriesSpec, Spec, TabularSpec, TextSpec

_MISSING = 0.15  # share of the numbers of a row


def sample_rows(specs: Mapping[str, Spec], count: int, seed: int = 0) -> dict[str, Tensor]:
    """Return modality -> rows ``(count, ...)``, as `jlrun.data.rows.TensorRows` holds them."""
    random = torch.Generator().manual_seed(seed)
    return {modality: _rows(spec, count, random) for modality, spec in specs.items()}


def sample_masks(modalities: Iterable[str], count: int, seed: int = 0) -> dict[str, Tensor]:
    """Return modality -> Bool ``(count,)``: each row has at least one, the first one has all."""
    names, random = tuple(modalities), torch.Generator().manual_seed(seed)
    present = torch.rand(count, len(names), generator=random) < 0.6
    kept = torch.randint(len(names), (count,), generator=random) if names else None
    if kept is not None:
        present[torch.arange(count), kept] = True
        present[0] = True
    return {name: present[:, i].clone() for i, name in enumerate(names)}


def _rows(spec: Spec, count: int, random: torch.Generator) -> Tensor:
    match spec:
        case ImageSpec():
            shape = (count, spec.channels, spec.height, spec.width)
            return torch.randint(0, 256, shape, dtype=torch.uint8, generator=random)
        case AudioSpec():
            return _waves(spec, count, random)
        case TextSpec():
            return _ids(spec, count, random)
        case TabularSpec():
            return _cells(spec, count, random)
        case SeriesSpec():
            values = _numbers((count, spec.length, spec.channels), spec.mean, spec.std, random)
            ends = torch.randint(1, spec.length + 1, (count,), generator=random)
            padding = torch.arange(spec.length) >= ends[:, None]
            return values.masked_fill(padding[:, :, None], torch.nan)


def _waves(spec: AudioSpec, count: int, random: torch.Generator) -> Tensor:
    """Return tones in noise: noise alone would leave every mel band alike."""
    seconds = torch.arange(spec.num_samples) / spec.sample_rate
    hertz = torch.rand(count, 1, generator=random) * 0.4 * spec.sample_rate
    noise = torch.randn(count, spec.num_samples, generator=random)
    return (0.3 * (2 * torch.pi * hertz * seconds).sin() + 0.05 * noise).clamp(-1, 1)


def _ids(spec: TextSpec, count: int, random: torch.Generator) -> Tensor:
    """Return token ids, unknown ones among them; the last text is empty."""
    ids = torch.randint(1, spec.num_tokens, (count, spec.length), generator=random)
    ends = torch.randint(1, spec.length + 1, (count,), generator=random)
    ends[-1] = 0 if count > 1 else ends[-1]
    return ids.masked_fill(torch.arange(spec.length) >= ends[:, None], 0)


def _cells(spec: TabularSpec, count: int, random: torch.Generator) -> Tensor:
    numbers = _numbers((count, len(spec.numbers)), spec.mean, spec.std, random)
    sizes = [len(levels) + 1 for levels in spec.levels]
    levels = [torch.randint(size, (count, 1), generator=random) for size in sizes]
    return torch.cat([numbers, *(column.double() for column in levels)], dim=1)


def _numbers(
    shape: tuple[int, ...], mean: tuple[float, ...], std: tuple[float, ...], random: torch.Generator
) -> Tensor:
    normal = torch.randn(shape, dtype=torch.float64, generator=random)
    values = normal * torch.tensor(std).double() + torch.tensor(mean).double()
    return values.masked_fill(torch.rand(shape, generator=random) < _MISSING, torch.nan)
