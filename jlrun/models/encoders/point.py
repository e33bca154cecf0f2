"""Features that are parameters themselves."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Len
from torch import Tensor, nn

from jlrun.data.specs import Spec
from jlrun.models.encoders.base import Encoder


class Point(Encoder):
    """Point moved by an optimizer: its features ``(B, D)`` are the same for every input.

    Args:
        spec: of the inputs, which are ignored.
        start: the D coordinates before training.
    """

    def __init__(self, spec: Spec, start: Annotated[list[float], Len(1)]) -> None:
        super().__init__()
        self.x = nn.Parameter(torch.tensor(start, dtype=torch.float32))
        self.out_features = len(start)

    def forward(self, x: Tensor) -> Tensor:
        return self.x.expand(x.shape[0], -1)
