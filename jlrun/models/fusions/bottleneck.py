"""Fusion through a few tokens that all modalities share."""

# B rows, T_m tokens of modality m, K bottleneck tokens, W width

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor, nn

from jlrun.models.encoders.base import Tokens
from jlrun.models.encoders.transformer_blocks import Block, check_heads
from jlrun.models.fusions.attention import TokenEmbedding, TokenSequence, learned_tokens
from jlrun.models.fusions.base import TokenFusion, require_several
from jlrun.ranges import Fraction, PositiveInt


class Bottleneck(TokenFusion):
    """Modalities attend to their own tokens and to a few bottleneck tokens, their only exchange.

    Nagrani et al., "Attention Bottlenecks for Multimodal Fusion", NeurIPS 2021, eqs. (8) and (9):
    in each layer every modality has its own transformer block on its tokens and the
    bottlenecks, whose next values are the mean over modalities. The result is the mean of the
    modalities' class tokens, so that a linear head on it yields the mean of their logits, as there.
    Differs from it in: both means are over present modalities; all layers here have bottlenecks
    (the encoders take the place of the layers without them).

    Args:
        features: modality -> width W_m of its tokens.
        width: of all tokens here; the result is ``(B, width)``.
        num_bottlenecks: K.
        depth: number of layers, at least 2: a bottleneck written in one layer is read in the next.
        heads: of the attention; they divide ``width``.
        dropout: share of what each layer adds that is dropped in training.

    Raises:
        UserError: if there are fewer than two modalities, or ``heads`` does not divide ``width``.
    """

    def __init__(
        self,
        features: Mapping[str, int],
        width: PositiveInt = 128,
        num_bottlenecks: PositiveInt = 4,
        depth: Annotated[int, Ge(2)] = 2,
        heads: PositiveInt = 4,
        dropout: Fraction = 0.0,
    ) -> None:
        super().__init__()
        require_several("bottleneck", features)
        check_heads("fusion", width, heads)
        self.embedding = TokenEmbedding(features, width)
        self.bottlenecks = learned_tokens(num_bottlenecks, width)
        self.cls_tokens = nn.ParameterDict()
        for modality in features:  # the constructor would sort a mapping by name
            self.cls_tokens[modality] = learned_tokens(1, width)
        self.layers = nn.ModuleList(
            nn.ModuleDict({m: Block(width, heads, dropout) for m in features}) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)
        self.out_features = width

    def attend(self, tokens: Mapping[str, Tokens], present: Mapping[str, Tensor]) -> Tensor:
        sequences = self.embedding(tokens, present)
        masks = {m: s.real.any(dim=1) for m, s in sequences.items()}
        streams = {m: self._with_class(m, s) for m, s in sequences.items()}
        first = next(iter(streams.values())).values
        shared = self.bottlenecks.to(first.dtype).expand(first.shape[0], -1, -1)
        for layer in self.layers:
            streams, shared = self._through(layer, streams, shared, masks)
        return self.norm(_mean({m: s.values[:, 0] for m, s in streams.items()}, masks))

    def _with_class(self, modality: str, sequence: TokenSequence) -> TokenSequence:
        token = self.cls_tokens[modality].to(sequence.values.dtype)
        values = torch.cat([token.expand(sequence.real.shape[0], -1, -1), sequence.values], dim=1)
        real = torch.cat([sequence.real.new_ones(values.shape[0], 1), sequence.real], dim=1)
        return TokenSequence(values, real)

    def _through(
        self,
        layer: nn.Module,
        streams: Mapping[str, TokenSequence],
        shared: Tensor,
        masks: Mapping[str, Tensor],
    ) -> tuple[dict[str, TokenSequence], Tensor]:
        """Return what a layer makes of the streams ``(B, 1 + T_m, W)`` and the bottlenecks."""
        count = shared.shape[1]
        assert isinstance(layer, nn.ModuleDict)
        after, taken_up = {}, {}
        for modality, stream in streams.items():
            x = torch.cat([shared, stream.values], dim=1)
            real = torch.cat([stream.real.new_ones(x.shape[0], count), stream.real], dim=1)
            x = layer[modality](x, ~real)
            taken_up[modality] = x[:, :count]
            after[modality] = TokenSequence(x[:, count:], stream.real)
        return after, _mean(taken_up, masks)


def _mean(parts: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> Tensor:
    """Return the mean ``(B, ...)`` of parts ``(B, ...)`` over the modalities that a row has."""
    x = torch.stack(tuple(parts.values()), dim=1)
    mask = torch.stack([masks[m] for m in parts], dim=1).view(*x.shape[:2], *[1] * (x.ndim - 2))
    return x.masked_fill(~mask, 0.0).sum(dim=1) / mask.sum(dim=1)
