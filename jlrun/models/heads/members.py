"""Base class of heads that are an ensemble: what their members say, and its mean."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class EnsembleHead(nn.Module, ABC):
    """Head of M members, whose mean logits are its own.

    A task's loss is the mean over the losses of members, so that each learns alone; everything else
    sees the mean.
    """

    @abstractmethod
    def members(self, features: Tensor) -> Tensor:
        """Return the logits of each member, ``(B, M, out_features)``."""

    def forward(self, features: Tensor) -> Tensor:
        """Return logits ``(B, out_features)``."""
        return self.members(features).mean(dim=1)
