"""What an encoder is."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Encoder(nn.Module, ABC):
    """Maps the inputs of one modality to features.

    Constructors take the modality's spec first, then what the config may set. ``out_features`` is
    the width D of the features.
    """

    out_features: int

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Return features ``(B, D)`` of inputs ``(B, ...)``; B may be 1."""
