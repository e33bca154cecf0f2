"""What an encoder is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Stage:
    """A stretch of an encoder, after which tasks may exchange features or part ways.

    Attributes:
        run: what the stage before it yields (or inputs) -> ``(B, channels, ...)``.
        channels: of what it yields.
    """

    run: Callable[[Tensor], Tensor]
    channels: int


class Encoder(nn.Module, ABC):
    """Maps the inputs of one modality to features.

    Constructors take the modality's spec first, then what the config may set. ``out_features`` is
    the width D of the features.
    """

    out_features: int

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Return features ``(B, D)`` of inputs ``(B, ...)``; B may be 1.

        Encoders for dense tasks return maps ``(B, D, h, w)``.
        """

    def stages(self) -> Sequence[Stage]:
        """Return the stretches of the encoder: run in this order they are `forward`."""
        return (Stage(self, self.out_features),)
