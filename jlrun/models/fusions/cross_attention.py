"""Fusion by attention of each modality to the others."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from jlrun.models.encoders.base import Tokens
from jlrun.models.encoders.transformer_blocks import check_heads
from jlrun.models.fusions.attention import CrossBlock, TokenEmbedding, TokenSequence, learned_tokens
from jlrun.models.fusions.base import TokenFusion, require_several
from jlrun.ranges import Fraction, PositiveInt


class CrossAttention(TokenFusion):
    """``[g_1 | … | g_M]``: g_m is the mean of modality m's tokens after they read all others'.

    The crossmodal transformers of Tsai et al., "Multimodal Transformer for Unaligned Multimodal
    Language Sequences", ACL 2019, eqs. (3) to (5), whose blocks all read the tokens as they came
    in. Differs from it in: a modality reads all others in one attention, not each of them in a
    separate transformer, so cost grows with M and not with M²; the mean of the tokens takes the
    place of further self-attention; a learned token is among those that are read, so that there is
    one where all others are absent; and a learned vector takes the place of an absent modality.

    Args:
        features: modality -> width W_m of its tokens.
        width: of all tokens here; the result is ``(B, M · width)``.
        depth: number of blocks of each modality.
        heads: of the attention; they divide ``width``.
        dropout: share of what each layer adds that is dropped in training.

    Raises:
        UserError: if there are fewer than two modalities, or ``heads`` does not divide ``width``.
    """

    def __init__(
        self,
        features: Mapping[str, int],
        width: PositiveInt = 128,
        depth: PositiveInt = 1,
        heads: PositiveInt = 4,
        dropout: Fraction = 0.0,
    ) -> None:
        super().__init__()
        require_several("cross_attention", features)
        check_heads("fusion", width, heads)
        self.embedding = TokenEmbedding(features, width)
        self.nothing = learned_tokens(1, width)
        self.blocks, self.norms = nn.ModuleDict(), nn.ModuleDict()
        self.absent = nn.ParameterDict()
        for modality in features:  # the constructor would sort a mapping by name
            self.blocks[modality] = nn.ModuleList(
                CrossBlock(width, heads, dropout) for _ in range(depth)
            )
            self.norms[modality] = nn.LayerNorm(width)
            self.absent[modality] = nn.Parameter(torch.zeros(width))
        self.out_features = len(features) * width

    def attend(self, tokens: Mapping[str, Tokens], present: Mapping[str, Tensor]) -> Tensor:
        sequences = self.embedding(tokens, present)
        return torch.cat([self._informed(m, sequences) for m in sequences], dim=1)

    def _informed(self, modality: str, sequences: Mapping[str, TokenSequence]) -> Tensor:
        """Return g_m, ``(B, width)``."""
        own = sequences[modality]
        others = [s for m, s in sequences.items() if m != modality]
        nothing = self.nothing.to(own.values.dtype).expand(own.real.shape[0], -1, -1)
        context = torch.cat([nothing, *(s.values for s in others)], dim=1)
        real = torch.cat(
            [own.real.new_ones(own.real.shape[0], 1), *(s.real for s in others)], dim=1
        )
        x = own.values
        blocks = self.blocks[modality]
        assert isinstance(blocks, nn.ModuleList)
        for block in blocks:
            x = block(x, context, real)
        mean = TokenSequence(self.norms[modality](x), own.real).mean()
        has = own.real.any(dim=1, keepdim=True)
        return torch.where(has, mean, self.absent[modality].to(mean.dtype))
