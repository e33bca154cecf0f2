"""A convolutional network over the words of a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from annotated_types import Len
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.data.specs import TextSpec
from jlrun.models.encoders.base import PADDING, Encoder, Tokens, masked_max, padding_of
from jlrun.ranges import Fraction, PositiveInt


class TextCNN(Encoder):
    """Filters over windows of words, each with its largest value in the text.

    Eqs. (1) to (4) of Kim, "Convolutional Neural Networks for Sentence Classification", EMNLP 2014
    ("CNN-rand"). Differs from it in: a window stands around each word and may reach over both ends
    of the text, so that texts of one word have features too; embeddings are narrower by default.

    Args:
        spec: token ids ``(T,)``.
        width: of an embedding.
        kernels: words of a window, for each size of windows.
        filters: of each size; the features are ``(B, len(kernels) * filters)``.
        dropout: share of the features that are dropped in training.
    """

    def __init__(
        self,
        spec: TextSpec,
        width: PositiveInt = 128,
        kernels: Annotated[Sequence[PositiveInt], Len(1)] = (3, 4, 5),
        filters: PositiveInt = 100,
        dropout: Fraction = 0.5,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(spec.num_tokens, width, padding_idx=PADDING)
        self.convolutions = nn.ModuleList(nn.Conv1d(width, filters, size) for size in kernels)
        self.dropout = nn.Dropout(dropout)
        self.kernels = tuple(kernels)
        self.out_features = len(kernels) * filters

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.encode_tokens(x))

    def encode_tokens(self, x: Tensor) -> Tokens:
        """Return the outputs of the filters of all sizes on the window around each word."""
        words = self.embedding(x).masked_fill((x == PADDING)[:, :, None], 0.0).mT
        maps = [
            convolution(F.pad(words, ((size - 1) // 2, size // 2)))
            for size, convolution in zip(self.kernels, self.convolutions, strict=True)
        ]
        return Tokens(F.relu(torch.cat(maps, dim=1)).mT, padding_of(x))

    def pool(self, tokens: Tokens) -> Tensor:
        return self.dropout(masked_max(tokens))
