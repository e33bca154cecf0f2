"""Log-mel spectrograms that agree with librosa's."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.data.specs import AudioSpec
from jlrun.ranges import PositiveFloat, PositiveInt

# The mel scale of Slaney's Auditory Toolbox (1998): linear to 1 kHz, then 27 steps per factor 6.4
HZ_PER_MEL = 200.0 / 3
BREAK_HZ = 1000.0
BREAK_MEL = BREAK_HZ / HZ_PER_MEL
LOG_STEP = math.log(6.4) / 27
SMALLEST_POWER = 1e-10


class LogMel(nn.Module):
    """Decibels of mel-band power, relative to the loudest band of each clip.

    The same as librosa's ``power_to_db(melspectrogram(y=x, sr=sample_rate, n_fft=window,
    hop_length=hop, n_mels=num_mels), ref=np.max, top_db=range_db)``: periodic Hann window, frames
    centred with zeros around the clip, power spectrum, Slaney filters with Slaney's norm.

    Args:
        sample_rate: of the waveforms, in Hz.
        window: samples per frame, and the size of its Fourier transform.
        hop: samples between frames.
        num_mels: number of bands between 0 Hz and half the sample rate.
        range_db: quieter values are raised to this far below the loudest.
    """

    window: Tensor
    filters: Tensor

    def __init__(
        self,
        sample_rate: PositiveInt,
        window: PositiveInt,
        hop: PositiveInt,
        num_mels: PositiveInt,
        range_db: PositiveFloat = 80.0,
    ) -> None:
        super().__init__()
        self.hop = hop
        self.range_db = range_db
        # Not in checkpoints: both follow from the arguments.
        self.register_buffer("window", torch.hann_window(window), persistent=False)
        bank = mel_filters(sample_rate, window, num_mels)
        self.register_buffer("filters", bank.float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, num_mels, 1 + L // hop)``, in [-range_db, 0], of waveforms ``(B, L)``."""
        # half precision has neither the range nor the resolution of a power spectrum
        with torch.autocast(x.device.type, enabled=False):
            power = self.power(x.to(self.filters.dtype))
            decibels = 10.0 * power.clamp(min=SMALLEST_POWER).log10()
            decibels = decibels - decibels.amax(dim=(1, 2), keepdim=True)
            return decibels.clamp(min=-self.range_db)

    def power(self, x: Tensor) -> Tensor:
        """Return the power in each band, ``(B, num_mels, 1 + L // hop)``, of ``(B, L)``."""
        spectrum = torch.stft(
            x,
            n_fft=len(self.window),
            hop_length=self.hop,
            window=self.window,
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        return self.filters @ (spectrum.real.square() + spectrum.imag.square())


def log_mel_of(spec: AudioSpec, num_mels: int, window_seconds: float, hop_seconds: float) -> LogMel:
    """Return the module for waveforms of a spec; frames are the nearest power of two of samples."""
    window = max(2, 2 ** round(math.log2(spec.sample_rate * window_seconds)))
    hop = max(1, round(spec.sample_rate * hop_seconds))
    return LogMel(spec.sample_rate, window, hop, num_mels)


def standardised(spectrogram: Tensor) -> Tensor:
    """Return spectrograms ``(B, num_mels, frames)``, each of mean 0 and variance 1."""
    return F.layer_norm(spectrogram, spectrogram.shape[1:])


def mel_filters(sample_rate: int, window: int, num_mels: int) -> Tensor:
    """Return triangular filters of unit area, float64 ``(num_mels, 1 + window // 2)``.

    Band m rises from corner m to corner m + 1 and falls to corner m + 2, where the num_mels + 2
    corners are evenly spaced in mel. Slaney's norm gives each the height 2 / width in Hz.
    """
    bins = torch.arange(1 + window // 2, dtype=torch.float64)
    frequencies = bins * sample_rate / window
    highest = _hz_to_mel(sample_rate / 2)
    corners = _mel_to_hz(torch.linspace(0, highest, num_mels + 2, dtype=torch.float64))
    left, centre, right = (c[:, None] for c in (corners[:-2], corners[1:-1], corners[2:]))
    rising = (frequencies - left) / (centre - left)
    falling = (right - frequencies) / (right - centre)
    return torch.minimum(rising, falling).clamp(min=0) * 2 / (right - left)


def _hz_to_mel(hz: float) -> float:
    if hz < BREAK_HZ:
        return hz / HZ_PER_MEL
    return BREAK_MEL + math.log(hz / BREAK_HZ) / LOG_STEP


def _mel_to_hz(mels: Tensor) -> Tensor:
    above = BREAK_HZ * torch.exp(LOG_STEP * (mels - BREAK_MEL))
    return torch.where(mels < BREAK_MEL, mels * HZ_PER_MEL, above)
