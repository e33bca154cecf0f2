"""Beeps for the scenes of `shapes`: the rhythm stands for the shape, the pitch for the colour."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from jlrun.data.datasets.digits_dtmf import tones
from jlrun.data.specs import AudioSpec

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
