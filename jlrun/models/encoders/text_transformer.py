"""A small transformer over the words of a text."""

# B rows, T tokens, D width

from __future__ import annotations

import torch
from torch import Tensor, nn

from jlrun.data.specs import TextSpec
from jlrun.models.encoders.base import PADDING, Encoder, Tokens, masked_mean, padding_of
from jlrun.models.encoders.transformer import LAYER_NORM_EPS, Block, check_heads
from jlrun.ranges import Fraction, PositiveInt


class TextTransformer(Encoder):
    """Words with learned positions through pre-norm transformer blocks; the mean of the words.

    The encoder of Vaswani et al., "Attention Is All You Need", NeurIPS 2017. Differs from it in:
    layers normalise their input, not their output (Xiong et al., "On Layer Normalization in
    the Transformer Architecture", ICML 2020); positions are learned; GELU in place of ReLU. Padding
    is neither attended to nor averaged.

    Args:
        spec: token ids ``(T,)``.
        width: D of the tokens, and of the features ``(B, D)``.
        depth: number of blocks.
        heads: of the attention; they divide ``width``.
        dropout: share of the embedded words, and of what each layer adds, dropped in training.

    Raises:
        UserError: if ``heads`` does not divide ``width``.
    """

    def __init__(
        self,
        spec: TextSpec,
        width: PositiveInt = 128,
        depth: PositiveInt = 2,
        heads: PositiveInt = 4,
        dropout: Fraction = 0.1,
    ) -> None:
        super().__init__()
        check_heads("backbone.text", width, heads)
        self.embedding = nn.Embedding(spec.num_tokens, width, padding_idx=PADDING)
        self.pos_embed = nn.Parameter(torch.empty(1, spec.length, width))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.out_features = width
        self._initialise()

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.encode_tokens(x))

    def encode_tokens(self, x: Tensor) -> Tokens:
        """Return the normalised words ``(B, T, D)``; T may be less than the spec's length."""
        padding = padding_of(x)
        tokens = self.dropout(self.embedding(x) + self.pos_embed[:, : x.shape[1]])
        for block in self.blocks:
            tokens = block(tokens, padding)
        return Tokens(self.norm(tokens), padding)

    def pool(self, tokens: Tokens) -> Tensor:
        return masked_mean(tokens)

    def _initialise(self) -> None:
        """Initialise as BERT is."""
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.trunc_normal_(self.embedding.weight, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
