"""Random changes to waveforms, plain numbers and token ids, with draws of their own for every row.

What is as large as the input is drawn on its device, from a generator that the given one seeds.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from jlrun.data.image_ops import uniform

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
    """Add white noise to each waveform ``(B, L)``, up to ``strength`` times its own level."""
    level = waves.square().mean(dim=1, keepdim=True).sqrt()
    share = uniform((len(waves), 1), generator, waves.device) * strength
    return waves + level * share.to(waves.dtype) * _normal(waves, generator)


def disturb_numbers(x: Tensor, strength: float, generator: Generator) -> Tensor:
    """Add Gaussian noise to numbers ``(B, ...)``, in units of each one's spread in the batch."""
    spread = x.std(dim=0, correction=0, keepdim=True)
    return x + strength * spread * _normal(x, generator)


def swap_numbers(x: Tensor, share: float, generator: Generator) -> Tensor:
    """Replace a ``share`` of the numbers ``(B, ...)`` by those of other rows, in the same place.

    The corruption of Bahri et al., "SCARF: Self-Supervised Contrastive Learning using Random
    Feature Corruption", ICLR 2022. Differs from it in: values come from the batch, and each number
    is replaced with probability ``share`` instead of a fixed count of them.
    """
    local = _local(generator, x.device)
    donor = torch.randint(len(x), x.shape, generator=local, device=x.device)
    chosen = torch.rand(x.shape, generator=local, device=x.device) < share
    return torch.where(chosen, x.gather(0, donor), x)


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
