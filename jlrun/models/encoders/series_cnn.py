"""A convolutional network over the steps of a series."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

import torch
from annotated_types import Len
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.data.specs import SeriesSpec
from jlrun.models.encoders.base import Encoder, Tokens, masked_max, masked_mean, read_steps
from jlrun.ranges import Fraction, PositiveInt


class SeriesCNN(Encoder):
    """Convolutions over time, each with ReLU and max pooling by 2; pooling over time; hidden layer.

    After the fully convolutional network of Wang et al., "Time Series Classification from Scratch
    with Deep Neural Networks", IJCNN 2017. Differs from it in: no BatchNorm, so that a batch may
    have one row; max pooling between layers; maximum and mean at the end. A missing value is 0,
    with a flag. Trailing steps without any value are padding: a series has the features that it
    would have without them.

    Args:
        spec: series ``(T, C)``.
        channels: output channels of each convolution.
        kernel: steps that a convolution reads; odd.
        hidden: units of the hidden layer: the width of the features ``(B, hidden)``.
        dropout: share of the hidden units that are dropped in training.
    """

    def __init__(
        self,
        spec: SeriesSpec,
        channels: Annotated[Sequence[PositiveInt], Len(1)] = (64, 128, 128),
        kernel: PositiveInt = 5,
        hidden: PositiveInt = 128,
        dropout: Fraction = 0.0,
    ) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"kernel is {kernel}; it must be odd, to be centred on a step")
        widths = [2 * spec.channels, *channels]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(before, after, kernel, padding=kernel // 2)
            for before, after in pairwise(widths)
        )
        self.hidden = nn.Sequential(
            nn.Linear(2 * widths[-1], hidden), nn.ReLU(), nn.Dropout(dropout)
        )
        self.token_channels = widths[-1]
        self.out_features = hidden

    @property
    def token_features(self) -> int:
        return self.token_channels

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.encode_tokens(x))

    def encode_tokens(self, x: Tensor) -> Tokens:
        """Return the steps of the last maps, each covering several steps of the series."""
        steps, padding = read_steps(x)
        maps = steps.mT
        for convolution in self.convolutions:
            # Zero in padding, as behind the end: ReLU leaves nothing less to be pooled with it.
            maps = F.relu(convolution(maps)).masked_fill(padding[:, None], 0.0)
            maps = F.max_pool1d(maps, 2, ceil_mode=True)
            padding = padding[:, ::2]
        return Tokens(maps.mT, padding)

    def pool(self, tokens: Tokens) -> Tensor:
        return self.hidden(torch.cat([masked_mean(tokens), masked_max(tokens)], dim=1))
