"""Text as the mean of its words."""

from __future__ import annotations

from torch import Tensor, nn

from jlrun.data.specs import TextSpec
from jlrun.encoders.base import Encoder
from jlrun.ranges import Fraction, PositiveInt

PADDING = 0


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
        known = (x != PADDING)[:, :, None]
        embeddings = self.embedding(x).masked_fill(~known, 0.0)
        mean = embeddings.sum(dim=1) / known.sum(dim=1).clamp(min=1)
        return self.dropout(mean)
