"""Fusion by a transformer over the tokens of all modalities."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from jlrun.models.encoders.base import Tokens
from jlrun.models.encoders.transformer_blocks import Block, check_heads
from jlrun.models.fusions.attention import TokenEmbedding, learned_tokens
from jlrun.models.fusions.base import TokenFusion, require_several
from jlrun.ranges import Fraction, PositiveInt


class Transformer(TokenFusion):
    """All tokens of all modalities, and a class token, attend to each other.

    The "single stream" of Chen et al., "UNITER", ECCV 2020, and Kim et al., "ViLT", ICML 2021: the
    result is the class token after pre-norm blocks. Tokens that are absent or padding are not
    attended to. Cost grows with the square of the number of tokens.

    Args:
        features: modality -> width W_m of its tokens.
        width: of all tokens here; the result is ``(B, width)``.
        depth: number of blocks.
        heads: of the attention; they divide ``width``.
        dropout: share of what each layer adds that is dropped in training.

    Raises:
        UserError: if there are fewer than two modalities, or ``heads`` does not divide ``width``.
    """

    def __init__(
        self,
        features: Mapping[str, int],
        width: PositiveInt = 128,
        depth: PositiveInt = 2,
        heads: PositiveInt = 4,
        dropout: Fraction = 0.0,
    ) -> None:
        super().__init__()
        require_several("transformer", features)
        check_heads("fusion", width, heads)
        self.embedding = TokenEmbedding(features, width)
        self.cls_token = learned_tokens(1, width)
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.out_features = width

    def attend(self, tokens: Mapping[str, Tokens], present: Mapping[str, Tensor]) -> Tensor:
        sequences = list(self.embedding(tokens, present).values())
        first = self.cls_token.to(sequences[0].values.dtype).expand(
            sequences[0].real.shape[0], -1, -1
        )
        x = torch.cat([first, *(s.values for s in sequences)], dim=1)
        real = torch.cat([s.real for s in sequences], dim=1)
        real = torch.cat([real.new_ones(real.shape[0], 1), real], dim=1)
        for block in self.blocks:
            x = block(x, ~real)
        return self.norm(x[:, 0])
