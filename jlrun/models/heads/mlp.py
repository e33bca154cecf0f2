"""A head with a hidden layer."""

from __future__ import annotations

from torch import Tensor, nn

from jlrun.models.heads.shapes import check_vectors
from jlrun.ranges import Fraction, PositiveInt


class MLP(nn.Module):
    """Logits ``(B, out_features)`` through one hidden layer with ReLU.

    Args:
        in_features: width of the features ``(B, in_features)``.
        out_features: number of logits.
        hidden: units of the hidden layer, which belongs to this task alone.
        dropout: share of the hidden units that are dropped in training.
    """

    def __init__(
        self,
        in_features: PositiveInt,
        out_features: PositiveInt,
        hidden: PositiveInt = 128,
        dropout: Fraction = 0.0,
    ) -> None:
        super().__init__()
        self.hidden = nn.Linear(in_features, hidden)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden, out_features)

    def forward(self, features: Tensor) -> Tensor:
        check_vectors(features)
        return self.output(self.dropout(self.hidden(features).relu()))
