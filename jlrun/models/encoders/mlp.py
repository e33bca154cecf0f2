"""MLP on pixels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from jlrun.data.specs import ImageSpec
from jlrun.models.encoders.base import Encoder, Stage
from jlrun.ranges import Fraction, PositiveInt


class MLP(Encoder):
    """Linear layers with ReLU on the flattened image.

    Args:
        spec: images of shape ``(C, H, W)``.
        hidden: units of each layer; the last is the width of the features ``(B, hidden[-1])``.
            Without any layer the features are the C·H·W pixels themselves.
        dropout: share of each layer's units that are dropped in training.
    """

    def __init__(
        self,
        spec: ImageSpec,
        hidden: Sequence[PositiveInt] = (512, 256),
        dropout: Fraction = 0.0,
    ) -> None:
        super().__init__()
        widths = [spec.channels * spec.height * spec.width, *hidden]
        layers: list[nn.Module] = [nn.Flatten()]
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout)]
        self.widths = widths
        self.layers = nn.Sequential(*layers)
        self.out_features = widths[-1]

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)

    def stages(self) -> Sequence[Stage]:
        flatten, *layers = self.layers
        if not layers:
            return super().stages()
        parts = [layers[i : i + 3] for i in range(0, len(layers), 3)]
        parts[0] = [flatten, *parts[0]]
        return tuple(
            Stage(nn.Sequential(*part), width)
            for part, width in zip(parts, self.widths[1:], strict=True)
        )
