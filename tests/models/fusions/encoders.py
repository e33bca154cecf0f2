"""Encoders whose tokens are no features: of another width, or padded."""

from __future__ import annotations

from torch import Tensor, nn

from jlrun.data.specs import ImageSpec, TextSpec
from jlrun.models.encoders import MLP
from jlrun.models.encoders.base import Encoder, Tokens


class Rows(MLP):
    """Features ``(B, 6)`` of images; its tokens are their rows of 4 pixels."""

    def __init__(self, spec: ImageSpec) -> None:
        super().__init__(spec, hidden=[6])

    @property
    def token_features(self) -> int:
        return 4

    def encode_tokens(self, x: Tensor) -> Tokens:
        return Tokens(x[:, 0])

    def pool(self, tokens: Tokens) -> Tensor:
        return self(tokens.values[:, None])


class Words(Encoder):
    """The mean of the embeddings of words; id 0 is padding, but for the first place."""

    def __init__(self, spec: TextSpec) -> None:
        super().__init__()
        self.embedding = nn.Embedding(spec.num_tokens, 5)
        self.out_features = 5

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.encode_tokens(x))

    def encode_tokens(self, x: Tensor) -> Tokens:
        padding = x == 0
        padding[:, 0] = False
        return Tokens(self.embedding(x), padding)

    def pool(self, tokens: Tokens) -> Tensor:
        assert tokens.padding is not None
        real = ~tokens.padding[:, :, None]
        return (tokens.values * real).sum(dim=1) / real.sum(dim=1)
