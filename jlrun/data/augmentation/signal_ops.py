"""Random changes to waveforms, numbers, series and token ids, drawn independently for each row.

Noise as large as the input is drawn on its device, from a generator that the given one seeds.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from jlrun.data.augmentation.image_ops import uniform

PADDING, UNKNOWN = 0, 1  # ids of `jlrun.data.specs.TextSpec`


def change_gain(waves: Tensor, decibels: float, generator: Generator) -> Tensor:
    """Make each waveform ``(B, L)`` louder or quieter by up to ``decibels``."""
    level = (2 * uniform((len(waves), 1), generator, waves.device) - 1) * decibels
    return waves * (10 ** (level / 20)).to(waves.dtype)


def shift_time(waves: Tensor, share: float, generator: Generator) -> Tensor:
    """Shift each waveform ``(B, L)`` by up to ``share`` of its length; silence moves in."""
    length = waves.shape[1]
    most = int(share * length)
    drawn = uniform((len(waves), 1), generator, waves.device)
    shift = (drawn * (2 * most + 1)).long() - most
    source = torch.arange(length, device=waves.device) - shift
    inside = (source >= 0) & (source < length)
    return waves.gather(1, source.clamp(0, length - 1)).masked_fill(~inside, 0)


def add_noise(waves: Tensor, strength: float, generator: Generator) -> Tensor:
    """Add white noise to each waveform ``(B, L)``, up to ``strength`` times its level."""
    level = waves.square().mean(dim=1, keepdim=True).sqrt()
    share = uniform((len(waves), 1), generator, waves.device) * strength
    return waves + level * share.to(waves.dtype) * _normal(waves, generator)


def disturb_numbers(x: Tensor, strength: float, generator: Generator) -> Tensor:
    """Add Gaussian noise to numbers ``(B, ...)``, in units of each column's spread in the batch.

    A missing number (NaN) stays missing, and does not count in the spread.
    """
    known = ~x.isnan()
    filled, count = x.where(known, 0.0), known.sum(dim=0, keepdim=True).clamp(min=1)
    mean = filled.sum(dim=0, keepdim=True) / count
    squares = (filled - mean).square().where(known, 0.0).sum(dim=0, keepdim=True)
    return x + strength * (squares / count).sqrt() * _normal(x, generator)


def swap_numbers(
    x: Tensor, share: float, generator: Generator, present: Tensor | None = None
) -> Tensor:
    """Replace a ``share`` of the numbers ``(B, ...)`` by those of other rows, in the same place.

    The corruption of Bahri et al., "SCARF: Self-Supervised Contrastive Learning using Random
    Feature Corruption", ICLR 2022. Differs from it in: values come from the batch, and each number
    is replaced with probability ``share`` instead of a fixed count of them.

    Args:
        x: numbers, or cells of a table: categories are swapped unchanged.
        share: of the numbers.
        generator: decides which ones.
        present: Bool ``(B,)``, the rows that values are taken from; None: all.
    """
    local = _local(generator, x.device)
    donors = torch.arange(len(x), device=x.device) if present is None else present.nonzero()[:, 0]
    if not len(donors):
        return x
    donor = donors[torch.randint(len(donors), x.shape, generator=local, device=x.device)]
    chosen = torch.rand(x.shape, generator=local, device=x.device) < share
    return torch.where(chosen, x.gather(0, donor), x)


def hide_steps(series: Tensor, share: float, generator: Generator) -> Tensor:
    """Make a ``share`` of the steps of each series ``(B, T, C)`` missing (NaN).

    The timestamp masking of Yue et al., "TS2Vec: Towards Universal Representation of Time Series",
    AAAI 2022, on the input itself.
    """
    hidden = uniform(tuple(series.shape[:2]), generator, series.device) < share
    return series.masked_fill(hidden[:, :, None], torch.nan)


def mask_tokens(tokens: Tensor, share: float, generator: Generator) -> Tensor:
    """Replace a ``share`` of the token ids ``(B, T)`` by that of the unknown token.

    Padding stays padding.
    """
    chosen = uniform(tuple(tokens.shape), generator, tokens.device) < share
    return tokens.masked_fill(chosen & (tokens != PADDING), UNKNOWN)


def _normal(x: Tensor, generator: Generator) -> Tensor:
    local = _local(generator, x.device)
    return torch.randn(x.shape, generator=local, device=x.device, dtype=x.dtype)


def _local(generator: Generator, device: torch.device) -> Generator:
    seed = torch.randint(2**62, (), generator=generator, device=generator.device)
    return torch.Generator(device).manual_seed(int(seed))
