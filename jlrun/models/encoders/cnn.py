"""Textbook convolutional network, at any image size."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import ceil, prod

from torch import Tensor, nn

from jlrun.data.specs import ImageSpec
from jlrun.models.encoders.base import Encoder, Stage, Tokens, maps_of_tokens, tokens_of_maps
from jlrun.models.module_state import running_statistics
from jlrun.ranges import Fraction, PositiveInt

MAX_POSITIONS = 8


class CNN(Encoder):
    """3×3 convolutions, each with ReLU and 2×2 max pooling, then a hidden layer.

    With the defaults, two convolutions of 64 and 128 channels and 512 hidden units: the baseline of
    textbooks and tutorials. Without BatchNorm a batch may have one row; with it, a single row is
    normalised by the running statistics. Maps that pooling leaves larger than ``positions`` are
    averaged to at most that on each side, which bounds the hidden layer: with the defaults, images
    up to 32×32 are never averaged.

    Args:
        spec: images of shape ``(C, H, W)``, from 1×1 up.
        channels: output channels of each convolution.
        hidden: units of the hidden layer: the width of the features ``(B, hidden)``.
        dropout: share of the hidden units that are dropped in training.
        batch_norm: whether each convolution is followed by BatchNorm.
        positions: largest side of the last maps.
    """

    def __init__(
        self,
        spec: ImageSpec,
        channels: Sequence[PositiveInt] = (64, 128),
        hidden: PositiveInt = 512,
        dropout: Fraction = 0.0,
        batch_norm: bool = False,
        positions: PositiveInt = MAX_POSITIONS,
    ) -> None:
        super().__init__()
        widths = [spec.channels, *channels]
        size = (spec.height, spec.width)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            # ceil_mode: a 1-pixel side stays 1 pixel, and odd sides lose no border
            pool = nn.MaxPool2d(2, ceil_mode=True)
            # ReLU after pooling: the same values, from a quarter of the work
            convolution = nn.Conv2d(before, after, 3, padding=1)
            normed = (
                nn.Sequential(convolution, nn.BatchNorm2d(after)) if batch_norm else convolution
            )
            layers += [normed, pool, nn.ReLU()]
            size = (ceil(size[0] / 2), ceil(size[1] / 2))
        average, self.size = average_down(size, positions)
        self.channels = widths[1:]
        self.token_channels = widths[-1]
        self.convolutions = nn.Sequential(*layers, average)
        self.hidden = nn.Sequential(
            nn.Flatten(),
            nn.Linear(widths[-1] * prod(self.size), hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.out_features = hidden

    def forward(self, x: Tensor) -> Tensor:
        return self.hidden(self._maps(x))

    @property
    def token_features(self) -> int:
        return self.token_channels

    def encode_tokens(self, x: Tensor) -> Tokens:
        """Return the positions of the last maps, row by row."""
        return tokens_of_maps(self._maps(x))

    def pool(self, tokens: Tokens) -> Tensor:
        return self.hidden(maps_of_tokens(tokens, self.size))

    def _maps(self, x: Tensor) -> Tensor:
        if self.training and len(x) == 1:
            with running_statistics(self):
                return self.convolutions(x)
        return self.convolutions(x)

    def stages(self) -> Sequence[Stage]:
        return convolution_stages(self.convolutions, self.channels, self.hidden, self.out_features)


def convolution_stages(
    convolutions: nn.Sequential, channels: Sequence[int], hidden: nn.Module, out_features: int
) -> Sequence[Stage]:
    """Return a stage for each convolution with its pooling and ReLU, and one for what follows.

    Args:
        convolutions: three modules for each convolution, and the module that averages their maps.
        channels: of each convolution.
        hidden: from the averaged maps to features.
        out_features: width of the features.
    """
    layers = list(convolutions)
    first = [
        Stage(nn.Sequential(*layers[3 * i : 3 * i + 3]), width) for i, width in enumerate(channels)
    ]
    return (*first, Stage(nn.Sequential(*layers[3 * len(channels) :], hidden), out_features))


def average_down(size: tuple[int, int], limit: int) -> tuple[nn.Module, tuple[int, int]]:
    """Return a module that averages maps ``(B, C, *size)`` to sides of at most ``limit``.

    The second value is the size it leaves. Blocks of equal size are averaged: unlike
    ``AdaptiveAvgPool2d``, that has a deterministic gradient on CUDA.
    """
    block = (ceil(size[0] / limit), ceil(size[1] / limit))
    if block == (1, 1):
        return nn.Identity(), size
    left = (ceil(size[0] / block[0]), ceil(size[1] / block[1]))
    return nn.AvgPool2d(block, ceil_mode=True), left
