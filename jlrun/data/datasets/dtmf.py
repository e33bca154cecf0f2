"""The tones of telephone keys: dual-tone multi-frequency signalling (DTMF), ITU-T Q.23."""

from __future__ import annotations

import math

import torch
from torch import Tensor

ROW_HZ = (697.0, 770.0, 852.0, 941.0)
COLUMN_HZ = (1209.0, 1336.0, 1477.0, 1633.0)
KEYPAD = ("123A", "456B", "789C", "*0#D")
# Q.23 lets each transmitted frequency be off by this share.
TOLERANCE = 0.018


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
