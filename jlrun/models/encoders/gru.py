"""Recurrent network over the steps of a series."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from jlrun.data.specs import SeriesSpec
from jlrun.models.encoders.base import Encoder, Tokens, read_steps
from jlrun.ranges import Fraction, PositiveInt


class GRU(Encoder):
    """Gated recurrent units; the features are their state at the last step of the series.

    Cho et al., "Learning Phrase Representations using RNN Encoder–Decoder", EMNLP 2014, in the
    form of ``torch.nn.GRU``. A missing value is 0, with a flag (the "simple" baseline
    of Che et al., "Recurrent Neural Networks for Multivariate Time Series with Missing Values",
    2018). Trailing steps without any value are padding: their content does not matter.

    Args:
        spec: series ``(T, C)``.
        width: of the state, and of the features ``(B, width)``.
        layers: number of stacked layers.
        dropout: share of the state between layers, and of the features, dropped in training.
    """

    def __init__(
        self,
        spec: SeriesSpec,
        width: PositiveInt = 128,
        layers: PositiveInt = 1,
        dropout: Fraction = 0.0,
    ) -> None:
        super().__init__()
        between = dropout if layers > 1 else 0.0  # torch warns of dropout that has no place
        self.units = nn.GRU(2 * spec.channels, width, layers, batch_first=True, dropout=between)
        self.dropout = nn.Dropout(dropout)
        self.out_features = width

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.encode_tokens(x))

    def encode_tokens(self, x: Tensor) -> Tokens:
        """Return the state after each step."""
        steps, padding = read_steps(x)
        states, _ = self.units(steps)
        return Tokens(states, padding)

    def pool(self, tokens: Tokens) -> Tensor:
        assert tokens.padding is not None
        rows = torch.arange(tokens.values.shape[0], device=tokens.values.device)
        last = (~tokens.padding).sum(dim=1) - 1
        return self.dropout(tokens.values[rows, last])
