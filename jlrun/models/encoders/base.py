"""Base class of encoders, their tokens and stages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Tokens:
    """Output of an encoder before pooling: a sequence for each row.

    Attributes:
        values: ``(B, T, W)``.
        padding: Bool ``(B, T)``, true where there is no token; every row has at least one token.
            None: there is no padding.
    """

    values: Tensor
    padding: Tensor | None = None


@dataclass(frozen=True)
class Stage:
    """Stage of an encoder, after which tasks may exchange features or branch.

    Attributes:
        run: output of the previous stage (or inputs) -> ``(B, channels, ...)``.
        channels: of its output.
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

    @property
    def token_features(self) -> int:
        """Width W of the tokens."""
        return self.out_features

    def encode_tokens(self, x: Tensor) -> Tokens:
        """Return the sequence that the features are pooled from, for fusions that attend.

        An encoder without a sequence has one token, its features.
        """
        return Tokens(self(x)[:, None])

    def pool(self, tokens: Tokens) -> Tensor:
        """Return the features ``(B, D)`` of the output of `encode_tokens`: those of `forward`."""
        return tokens.values[:, 0]

    def stages(self) -> Sequence[Stage]:
        """Return the stages of the encoder: run in this order they are `forward`."""
        return (Stage(self, self.out_features),)
