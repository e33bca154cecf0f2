"""Digits with DTMF tones: a damaged image, the tone of the telephone key in noise, the name."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import Generator, Tensor

from jlrun.data.dataset import Dataset
from jlrun.data.datasets.digits import DIGITS, PARITIES, digit_images
from jlrun.data.rows import TensorRows
from jlrun.data.specs import AudioSpec, ImageSpec, TextSpec
from jlrun.ranges import NonNegativeFloat, PositiveFloat
from jlrun.seeding import derive_seed

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SAMPLE_RATE = 8_000
SHORTEST_SECONDS = 0.04  # what ITU-T Q.24 asks a receiver to accept
RMS = 0.2
FIRST_TOKEN = 2  # after padding and unknown


ROW_HZ = (697.0, 770.0, 852.0, 941.0)
COLUMN_HZ = (1209.0, 1336.0, 1477.0, 1633.0)
KEYPAD = ("123A", "456B", "789C", "*0#D")
# Q.23 lets each transmitted frequency be off by this share.
TOLERANCE = 0.018


def load_digits_dtmf(
    image_noise: NonNegativeFloat = 0.4,
    occlusion: Annotated[int, Ge(0), Le(8)] = 2,
    snr_db: tuple[float, float] = (-15.0, 1.0),
    seconds: Annotated[PositiveFloat, Ge(SHORTEST_SECONDS), Le(10)] = 0.128,
    seed: int = 0,
) -> Dataset:
    """Return the 1,797 rows of `jlrun.data.datasets.digits`, damaged, each with a sound and a word.

    The damage to a row's ``image`` and to its ``audio`` is drawn independently, so they fail in
    different rows and a model of both can beat either. ``text``, the digit's name, gives the answer
    away: use it to try three modalities or missing ones, not for comparisons. Each image occurs in
    one row, so splits share none; there is no official test split.

    Args:
        image_noise: largest standard deviation of Gaussian noise on the pixels, where white is 1.
        occlusion: side of a black square at a random place, in pixels of 8.
        snr_db: lowest and highest signal-to-noise ratio of the tone while it lasts, in decibels.
        seconds: length of the sound. The tone lasts at least 0.04 s and at most all of it.
        seed: of all draws.

    Returns:
        image uint8 ``(1, 8, 8)``, audio float32 ``(8000 * seconds,)`` at 8 kHz, text int64
        ``(1,)``; tasks ``digit`` and ``parity``, int64.
    """
    images, digit = digit_images()
    generator = torch.Generator().manual_seed(derive_seed(seed, "digits_dtmf"))
    damaged = _noisy(_occluded(images, occlusion, generator), image_noise, generator)
    num_samples = round(seconds * SAMPLE_RATE)
    audio = key_sounds(digit, num_samples, snr_db, generator)
    text = digit[:, None] + FIRST_TOKEN
    return Dataset(
        train=TensorRows(
            {"image": damaged, "audio": audio, "text": text},
            {"digit": digit, "parity": digit % 2},
        ),
        modalities={
            "image": ImageSpec(1, images.shape[2], images.shape[3], mean=(), std=()),
            "audio": AudioSpec(num_samples, SAMPLE_RATE),
            "text": TextSpec(NAMES, length=1),
        },
        classes={"digit": DIGITS, "parity": PARITIES},
    )


def key_sounds(
    digit: Tensor, num_samples: int, snr_db: tuple[float, float], generator: Generator
) -> Tensor:
    """Return the key tone of each digit in white noise, float32 ``(N, num_samples)`` at 8 kHz.

    Phases, start, length and an error of the frequencies within the standard's tolerance are drawn;
    then each row is scaled to equal loudness, and to [-1, 1].
    """
    count = len(digit)
    nominal = torch.tensor([key_frequencies(key) for key in DIGITS])[digit]
    off = (2 * torch.rand((count, 2), generator=generator) - 1) * TOLERANCE
    phases = 2 * math.pi * torch.rand((count, 2), generator=generator)
    tone = tones(nominal * (1 + off), phases, num_samples, SAMPLE_RATE)
    shortest = SHORTEST_SECONDS * SAMPLE_RATE
    length = shortest + torch.rand(count, 1, generator=generator) * (num_samples - shortest)
    start = torch.rand(count, 1, generator=generator) * (num_samples - length)
    sample = torch.arange(num_samples)
    tone = tone * ((sample >= start) & (sample < start + length))
    low, high = snr_db
    decibels = low + (high - low) * torch.rand(count, 1, generator=generator)
    noise = torch.randn(tone.shape, generator=generator) * 10 ** (-decibels / 20)
    sound = tone + noise
    return (sound * RMS / sound.square().mean(dim=1, keepdim=True).sqrt()).clamp(-1, 1)


def _occluded(images: Tensor, side: int, generator: Generator) -> Tensor:
    """Blacken a square of each image ``(N, C, H, W)``, wholly inside of it."""
    count, _, height, width = images.shape
    y = torch.randint(height - side + 1, (count, 1, 1, 1), generator=generator)
    x = torch.randint(width - side + 1, (count, 1, 1, 1), generator=generator)
    rows, columns = torch.arange(height)[:, None], torch.arange(width)
    hidden = (rows >= y) & (rows < y + side) & (columns >= x) & (columns < x + side)
    return images.masked_fill(hidden, 0)


def _noisy(images: Tensor, most: float, generator: Generator) -> Tensor:
    row_std = most * torch.rand((len(images), 1, 1, 1), generator=generator)
    noise = torch.randn(images.shape, generator=generator) * row_std
    return (images + 255 * noise).round().clamp(0, 255).to(torch.uint8)


def key_frequencies(key: str) -> tuple[float, float]:
    """Return the low and the high frequency of a key, in Hz."""
    row = next(index for index, keys in enumerate(KEYPAD) if key in keys)
    return ROW_HZ[row], COLUMN_HZ[KEYPAD[row].index(key)]


def tones(frequencies: Tensor, phases: Tensor, num_samples: int, sample_rate: int) -> Tensor:
    """Return sums of two sines of amplitude 1, so of power 1, float32 ``(N, num_samples)``.

    Args:
        frequencies: in Hz, ``(N, 2)``.
        phases: in radians, ``(N, 2)``.
        num_samples: length.
        sample_rate: in Hz.
    """
    seconds = torch.arange(num_samples, dtype=torch.float64) / sample_rate
    angle = 2 * math.pi * frequencies.double()[:, :, None] * seconds + phases.double()[:, :, None]
    return angle.sin().sum(dim=1).float()
