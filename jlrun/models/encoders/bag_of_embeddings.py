"""Text as the mean of its word embeddings."""

from __future__ import annotations

from torch import Tensor, nn

from jlrun.data.specs import TextSpec
from jlrun.models.encoders.base import PADDING, Encoder, Tokens, masked_mean, padding_of
from jlrun.ranges import Fraction, PositiveInt


class BagOfEmbeddings(Encoder):
    """The mean of learned token embeddings, padding left out; zeros for a text without tokens.

    The text part of Joulin et al., "Bag of Tricks for Efficient Text Classification", EACL 2017,
    without its n-grams.

    Args:
        spec: token ids ``(T,)``.
        width: of an embedding and of the features ``(B, width)``.
        dropout: share of the features that are dropped in training.
    """

    def __init__(self, spec: TextSpec, width: PositiveInt = 128, dropout: Fraction = 0.0) -> None:
        super().__init__()
        self.embedding = nn.Embedding(spec.num_tokens, width, padding_idx=PADDING)
        self.dropout = nn.Dropout(dropout)
        self.out_features = width

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.encode_tokens(x))

    def encode_tokens(self, x: Tensor) -> Tokens:
        """Return the embeddings; a text without tokens has one of zeros."""
        return Tokens(self.embedding(x).masked_fill((x == PADDING)[:, :, None], 0.0), padding_of(x))

    def pool(self, tokens: Tokens) -> Tensor:
        return self.dropout(masked_mean(tokens))
