"""Transformer whose tokens are the columns of a table."""

# B rows, N numbers, C categories, T = 1 + N + C tokens, D width

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.data.specs import TabularSpec
from jlrun.models.encoders.base import Encoder, Tokens
from jlrun.models.encoders.embedded_mlp import CategoryEmbedding, read_numbers
from jlrun.models.encoders.transformer_blocks import Attention, check_heads
from jlrun.ranges import Fraction, PositiveFloat, PositiveInt


class FTTransformer(Encoder):
    """Token for each column and one for the row, through pre-norm blocks with ReGLU.

    Section 3.3 of Gorishniy et al., "Revisiting Deep Learning Models for Tabular Data", NeurIPS
    2021, up to its last linear layer, with the defaults of its authors' package for three blocks:
    the first block does not normalise what it attends to; the features are ReLU(LayerNorm(·)) of
    the row's token. Differs from it in: a missing number has, in place of its value times the
    column's vector, its own vector, 0 at first; a missing or unknown category is a level.

    Args:
        spec: cells ``(N + C,)``.
        width: D of the tokens, and of the features ``(B, D)``.
        depth: number of blocks.
        heads: of the attention; they divide ``width``.
        hidden_factor: units between the two linear layers of a block, as a multiple of ``width``.
        attention_dropout: share of the attention that is dropped in training.
        dropout: share of those units.
        residual_dropout: share of what each layer adds.

    Raises:
        UserError: if ``heads`` does not divide ``width``.
    """

    def __init__(
        self,
        spec: TabularSpec,
        width: PositiveInt = 192,
        depth: PositiveInt = 3,
        heads: PositiveInt = 8,
        hidden_factor: PositiveFloat = 4 / 3,
        attention_dropout: Fraction = 0.2,
        dropout: Fraction = 0.1,
        residual_dropout: Fraction = 0.0,
    ) -> None:
        super().__init__()
        check_heads("backbone.tabular", width, heads)
        self.tokenizer = ColumnTokens(spec, width)
        self.blocks = nn.ModuleList(
            ColumnBlock(
                width, heads, int(width * hidden_factor), attention_dropout, dropout, first=i == 0
            )
            for i in range(depth)
        )
        self.residual_dropout = nn.Dropout(residual_dropout)
        self.norm = nn.LayerNorm(width)
        self.out_features = width

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.encode_tokens(x))

    def encode_tokens(self, x: Tensor) -> Tokens:
        """Return the normalised tokens: the row's, then those of numbers and categories."""
        tokens = self.tokenizer(x)
        for block in self.blocks:
            tokens = block(tokens, self.residual_dropout)
        return Tokens(self.norm(tokens))

    def pool(self, tokens: Tokens) -> Tensor:
        return F.relu(tokens.values[:, 0])


class ColumnTokens(nn.Module):
    """T_0 = a vector of the row; T_j = b_j + x_j W_j of a number, b_j + e_j of a category.

    Args:
        spec: cells ``(N + C,)``.
        width: D of a token.
    """

    def __init__(self, spec: TabularSpec, width: int) -> None:
        super().__init__()
        self.spec = spec
        numbers = len(spec.numbers)
        self.row = nn.Parameter(torch.empty(width))
        self.weight = nn.Parameter(torch.empty(numbers, width)) if numbers else None
        self.missing = nn.Parameter(torch.zeros(numbers, width)) if numbers else None
        self.bias = nn.Parameter(torch.empty(spec.width, width))
        self.categories = CategoryEmbedding(spec, width, gain=1.0)
        table = self.categories.table
        drawn = (self.row, self.weight, self.bias, None if table is None else table.weight)
        for parameter in drawn:
            if parameter is not None:
                nn.init.uniform_(parameter, -(width**-0.5), width**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, T, D)`` of cells ``(B, N + C)``."""
        columns = self.categories(x)
        if self.weight is not None and self.missing is not None:
            numbers, absent = read_numbers(x, self.spec)
            known = numbers[:, :, None] * self.weight
            columns = torch.cat([known + absent[:, :, None] * self.missing, columns], dim=1)
        row = self.row.expand(x.shape[0], 1, -1)
        return torch.cat([row, columns + self.bias], dim=1)


class ColumnBlock(nn.Module):
    """Attention and a ReGLU layer, each on normalised tokens (but the first) and added to them.

    Args:
        width: of the tokens.
        heads: of the attention; they divide ``width``.
        hidden: units of the ReGLU layer.
        attention_dropout: share of the attention weights that are dropped in training.
        dropout: share of the hidden units that are dropped in training.
        first: whether it is the first block, whose attention reads tokens as they are.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int,
        attention_dropout: float,
        dropout: float,
        first: bool,
    ) -> None:
        super().__init__()
        self.norm1 = nn.Identity() if first else nn.LayerNorm(width)
        self.attention = Attention(width, heads, attention_dropout)
        nn.init.zeros_(self.attention.qkv.bias)
        nn.init.zeros_(self.attention.proj.bias)
        self.norm2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 2 * hidden)
        self.dropout = nn.Dropout(dropout)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor, residual_dropout: nn.Module) -> Tensor:
        """Return ``(B, T, D)`` of ``(B, T, D)``."""
        tokens = tokens + residual_dropout(self.attention(self.norm1(tokens)))
        value, gate = self.fc1(self.norm2(tokens)).chunk(2, dim=-1)
        return tokens + residual_dropout(self.fc2(self.dropout(value * F.relu(gate))))
