"""Small convolutional network on log-mel spectrograms."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import ceil

import torch
from torch import Tensor, nn

from jlrun.data.specs import AudioSpec
from jlrun.models.encoders.base import Encoder, Stage, Tokens
from jlrun.models.encoders.log_mel import log_mel_of, standardised
from jlrun.ranges import Fraction, PositiveFloat, PositiveInt


class AudioCNN(Encoder):
    """Log-mel → 3×3 convolutions with ReLU and 2×2 max pooling → pooling over time → hidden layer.

    Each clip's spectrogram is brought to mean 0 and variance 1 by itself: loudness does not matter,
    and no statistics of the batch are used. Time is pooled away (mean and maximum), so it does not
    matter when a sound happens; frequency is kept, because pitch is informative.

    Args:
        spec: mono waveforms ``(L,)``.
        num_mels: frequency bands.
        window_seconds: length of a frame, rounded to a power of two in samples.
        hop_seconds: time between frames.
        channels: output channels of each convolution.
        hidden: units of the hidden layer: the width of the features ``(B, hidden)``.
        dropout: share of the hidden units that are dropped in training.
    """

    def __init__(
        self,
        spec: AudioSpec,
        num_mels: PositiveInt = 64,
        window_seconds: PositiveFloat = 0.064,
        hop_seconds: PositiveFloat = 0.016,
        channels: Sequence[PositiveInt] = (16, 32, 64),
        hidden: PositiveInt = 128,
        dropout: Fraction = 0.0,
    ) -> None:
        super().__init__()
        self.log_mel = log_mel_of(spec, num_mels, window_seconds, hop_seconds)
        widths, bands = [1, *channels], num_mels
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            pool = nn.MaxPool2d(2, ceil_mode=True)
            # ReLU after pooling: the same values, from a quarter of the work
            layers += [nn.Conv2d(before, after, 3, padding=1), pool, nn.ReLU()]
            bands = ceil(bands / 2)
        self.channels = tuple(channels)
        self.token_channels, self.bands = widths[-1], bands
        self.convolutions = nn.Sequential(*layers)
        self.hidden = nn.Sequential(
            nn.Linear(2 * widths[-1] * bands, hidden), nn.ReLU(), nn.Dropout(dropout)
        )
        self.out_features = hidden

    def forward(self, x: Tensor) -> Tensor:
        return self._features(self.convolutions(self._spectrogram(x)))

    @property
    def token_features(self) -> int:
        return self.token_channels * self.bands

    def encode_tokens(self, x: Tensor) -> Tokens:
        """Return the steps of the last maps: the channels of all bands at a time."""
        maps = self.convolutions(self._spectrogram(x))
        return Tokens(maps.flatten(1, 2).mT)

    def pool(self, tokens: Tokens) -> Tensor:
        return self._features(tokens.values.mT.unflatten(1, (self.token_channels, self.bands)))

    def stages(self) -> Sequence[Stage]:
        layers = list(self.convolutions)
        if not layers:
            return super().stages()
        parts = [nn.Sequential(*layers[i : i + 3]) for i in range(0, len(layers), 3)]
        maps = [Stage(part, width) for part, width in zip(parts, self.channels, strict=True)]
        first = Stage(lambda x: parts[0](self._spectrogram(x)), self.channels[0])
        return (first, *maps[1:], Stage(self._features, self.out_features))

    def _spectrogram(self, x: Tensor) -> Tensor:
        return standardised(self.log_mel(x))[:, None]

    def _features(self, maps: Tensor) -> Tensor:
        return self.hidden(torch.cat([maps.mean(dim=3), maps.amax(dim=3)], dim=1).flatten(1))
