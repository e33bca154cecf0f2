"""The LeNet of the MultiMNIST experiments."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, prod

from torch import Tensor, nn

from jlrun.data.specs import ImageSpec
from jlrun.models.encoders.base import Encoder, Stage, Tokens, maps_of_tokens, tokens_of_maps
from jlrun.models.encoders.cnn import MAX_POSITIONS, average_down, convolution_stages
from jlrun.ranges import Fraction, PositiveInt

SMALLEST_UNPADDED = 16
LAST_CHANNELS = 20


class LeNet(Encoder):
    """Two 5×5 convolutions of 10 and 20 channels with 2×2 max pooling, then 50 units.

    The shared part of Sener & Koltun, "Multi-Task Learning as Multi-Objective Optimization",
    NeurIPS 2018 (its task heads are ``heads=mlp heads.hidden=50``). On 28×28 images
    the hidden layer reads the published 320 values. Differs from it in: images with a side below 16
    pixels are padded, so that they survive both convolutions; maps larger than 8×8 are averaged
    down.

    Args:
        spec: images of shape ``(C, H, W)``, from 1×1 up.
        hidden: units of the last layer: the width of the features ``(B, hidden)``.
        dropout: share of the hidden units that are dropped in training.
    """

    def __init__(self, spec: ImageSpec, hidden: PositiveInt = 50, dropout: Fraction = 0.0) -> None:
        super().__init__()
        size = (spec.height, spec.width)
        padding = 2 if min(size) < SMALLEST_UNPADDED else 0
        layers: list[nn.Module] = []
        for before, after in ((spec.channels, 10), (10, LAST_CHANNELS)):
            pool = nn.MaxPool2d(2, ceil_mode=True)
            layers += [nn.Conv2d(before, after, 5, padding=padding), pool, nn.ReLU()]
            lost = 4 - 2 * padding
            size = (ceil((size[0] - lost) / 2), ceil((size[1] - lost) / 2))
        average, self.size = average_down(size, MAX_POSITIONS)
        self.convolutions = nn.Sequential(*layers, average)
        self.hidden = nn.Sequential(
            nn.Flatten(),
            nn.Linear(LAST_CHANNELS * prod(self.size), hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.out_features = hidden

    def forward(self, x: Tensor) -> Tensor:
        return self.hidden(self.convolutions(x))

    @property
    def token_features(self) -> int:
        return LAST_CHANNELS

    def encode_tokens(self, x: Tensor) -> Tokens:
        """Return the positions of the last maps, row by row."""
        return tokens_of_maps(self.convolutions(x))

    def pool(self, tokens: Tokens) -> Tensor:
        return self.hidden(maps_of_tokens(tokens, self.size))

    def stages(self) -> Sequence[Stage]:
        return convolution_stages(
            self.convolutions, (10, LAST_CHANNELS), self.hidden, self.out_features
        )
