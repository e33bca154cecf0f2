"""Images and sounds of the scenes of `shapes`.

A drawing is one flat, antialiased shape; a sound is beeps, whose rhythm stands for the shape and
whose pitch for the colour.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from jlrun.data.datasets.digits_dtmf import tones
from jlrun.data.specs import AudioSpec

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


AUDIO_SPEC = AudioSpec(num_samples=2048, sample_rate=8_000)
# Where there is a tone in each eighth of the rhythm.
RHYTHMS = {
    "circle": "11111111",
    "cross": "11001100",
    "ring": "11111000",
    "square": "10101010",
    "star": "10001000",
    "triangle": "11011011",
}
PITCHES_HZ = {
    "red": 330.0,
    "yellow": 415.0,
    "green": 523.0,
    "cyan": 659.0,
    "blue": 831.0,
    "purple": 1047.0,
}
DETUNING = 0.04  # largest share by which a pitch is off; neighbours differ by 0.26
RHYTHM_SHARE = 0.8  # of the sound; it begins anywhere in the rest
RMS = 0.2


def beeps(
    shape: Tensor,
    colour: Tensor,
    draws: Mapping[str, Tensor],
    noise: Tensor,
    snr_db: tuple[float, float],
) -> Tensor:
    """Return sounds in white noise, float32 ``(N, 2048)`` in [-1, 1] at 8 kHz, equally loud.

    Args:
        shape: index into `RHYTHMS`, ``(N,)``.
        colour: index into `PITCHES_HZ`, ``(N,)``.
        draws: ``detune``, ``phase``, ``overtone phase``, ``start`` and ``snr`` -> numbers in
            [0, 1), ``(N,)``.
        noise: of variance 1, ``(N, 2048)``.
        snr_db: lowest and highest signal-to-noise ratio of the tone while it lasts, in decibels.
    """
    off = 1 + DETUNING * (2 * draws["detune"] - 1)
    pitch = torch.tensor(list(PITCHES_HZ.values()))[colour] * off
    phases = 2 * math.pi * torch.stack([draws["phase"], draws["overtone phase"]], dim=1)
    frequencies = torch.stack([pitch, 2 * pitch], dim=1)
    num_samples = AUDIO_SPEC.num_samples
    tone = tones(frequencies, phases, num_samples, AUDIO_SPEC.sample_rate)
    tone = tone * _rhythm(shape, draws["start"], num_samples)
    low, high = snr_db
    decibels = low + (high - low) * draws["snr"][:, None]
    sound = tone + noise * 10 ** (-decibels / 20)
    return (sound * RMS / sound.square().mean(dim=1, keepdim=True).sqrt()).clamp(-1, 1)


def _rhythm(shape: Tensor, start: Tensor, num_samples: int) -> Tensor:
    """Return 1 where there is a tone and 0 elsewhere, ``(N, num_samples)``."""
    silence_around = [f"0{rhythm}0" for rhythm in RHYTHMS.values()]
    table = torch.tensor([[float(beat) for beat in rhythm] for rhythm in silence_around])
    beat_samples = RHYTHM_SHARE * num_samples / 8
    first = (1 - RHYTHM_SHARE) * num_samples * start[:, None]
    beat = ((torch.arange(num_samples) - first) / beat_samples).floor().long() + 1
    return table[shape].gather(1, beat.clamp(0, 9))
