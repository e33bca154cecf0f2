"""Trunk: encoders of the modalities, and a fusion of the present ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

from jlrun.data.batch import Batch
from jlrun.errors import check_shape
from jlrun.models.encoders.base import Encoder, Stage, Tokens
from jlrun.models.fusions.base import Fusion, TokenFusion
from jlrun.models.module_state import running_statistics
from jlrun.ranks.whole_batch import rows_with

T = TypeVar("T")


@dataclass(frozen=True)
class Encoded:
    """Outputs of a trunk on a batch.

    Attributes:
        features: modality -> ``(B, D_m)``; zero where the modality is absent.
        fused: ``(B, D)``, or maps ``(B, D, H, W)`` of an encoder of dense features.
    """

    features: Mapping[str, Tensor]
    fused: Tensor


class Trunk(nn.Module):
    """Encoders of the modalities and a fusion over exactly these, in this order.

    Args:
        encoders: modality -> encoder.
        fusion: of their features, or of their tokens.
        pooled: whether a fusion that attends to tokens still gets pooled features, as one token of
            each modality; it is then made for their widths.

    Attributes:
        whole_batches: encoders also get the rows that lack their modality, and what they make of
            them is dropped: no shape then depends on the values of a mask, as programs that are
            exported need. In evaluation mode the outputs are the same.
        sharded: other ranks have parts of the parameters: in evaluation, too, every rank passes
            rows through every encoder.
    """

    whole_batches = False
    sharded = False

    def __init__(
        self, encoders: Mapping[str, Encoder], fusion: Fusion, pooled: bool = False
    ) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict(encoders)
        self.fusion = fusion
        self.pooled = pooled
        self.out_features = fusion.out_features

    def forward(self, batch: Batch) -> Encoded:
        """Encode the present rows of each modality, and fuse.

        Raises:
            UserError: if an encoder or the fusion returns something of another width than its own.
        """
        if isinstance(self.fusion, TokenFusion) and not self.pooled:
            return self._attend(batch, self.fusion)
        return self.join(self.of_each_modality(batch, self._encoded), batch)

    def of_each_modality(self, batch: Batch, encode: Callable[[str, Tensor], T]) -> dict[str, T]:
        """Return modality -> what ``encode(modality, x)`` makes of the `present_rows`."""
        rows = self.present_rows(batch)
        if not batch.present:  # where others divide the rows they know that all are here
            return {modality: encode(modality, x) for modality, x in rows.items()}
        encoded = {}
        for modality, x in rows.items():
            with nullcontext() if self.whole_batches else rows_with(modality):
                encoded[modality] = encode(modality, x)
        return encoded

    def _encoded(self, modality: str, x: Tensor) -> Tensor:
        encoder, num_rows = self.encoders[modality], x.shape[0]
        with self._lone_row(encoder, num_rows):
            features = encoder(x)
        shape = (num_rows, cast(int, encoder.out_features), *features.shape[2:])
        check_shape(f"backbone.{modality}", encoder, features, shape)
        return features

    def present_rows(self, batch: Batch) -> dict[str, Tensor]:
        """Return modality -> the inputs of the rows that have it, ``(B_m, ...)``, B_m at least 1.

        Encoders get no other rows, unless they get ``whole_batches``; a modality that no row has
        is left out.
        """
        if not batch.present:
            return {modality: batch.inputs[modality] for modality in self.encoders}
        rows = {}
        for modality in self.encoders:
            x, mask = batch.inputs[modality], batch.present.get(modality)
            if mask is None or self._takes_all_rows:
                rows[modality] = x
            elif bool(mask.any()):
                rows[modality] = x[mask]
        return rows

    @property
    def _takes_all_rows(self) -> bool:
        return self.whole_batches or (self.sharded and not self.training)

    def stages(self, modality: str) -> Sequence[Stage]:
        """Return the stages of a modality's encoder."""
        encoder = self.encoders[modality]
        if isinstance(encoder, Encoder):
            return encoder.stages()
        # A custom module, or one of another library.
        return (Stage(encoder, cast(int, encoder.out_features)),)

    def join(self, encoded: Mapping[str, Tensor], batch: Batch) -> Encoded:
        """Scatter the features ``(B_m, D_m)`` of the present rows into the batch, and fuse."""
        if not batch.present:
            features = {m: encoded[m] for m in self.encoders}
            return self._fused(features, self.fusion(features, {}))
        features = {m: self._placed(m, encoded, batch) for m in self.encoders}
        return self._fused(features, self.fusion(features, _masks_of(features, batch)))

    def _tokens(self, modality: str, x: Tensor) -> Tokens:
        encoder = self.encoders[modality]
        with self._lone_row(encoder, x.shape[0]):
            return encode_tokens(encoder, x)

    def _attend(self, batch: Batch, fusion: TokenFusion) -> Encoded:
        tokens = self.of_each_modality(batch, self._tokens)
        pooled = {m: pool(self.encoders[m], sequence) for m, sequence in tokens.items()}
        features = {m: self._placed(m, pooled, batch) for m in self.encoders}
        placed = {m: self._placed_tokens(m, tokens, batch) for m in self.encoders}
        return self._fused(features, fusion.attend(placed, _masks_of(features, batch)))

    def _fused(self, features: Mapping[str, Tensor], fused: Tensor) -> Encoded:
        rows = next(iter(features.values())).shape[0]
        check_shape("fusion", self.fusion, fused, (rows, self.out_features, *fused.shape[2:]))
        if self.sharded:  # hooks that gather shards get lost where a view is changed in place
            features, fused = {m: x.clone() for m, x in features.items()}, fused.clone()
        return Encoded(features, fused)

    def _lone_row(self, encoder: nn.Module, num_rows: int) -> AbstractContextManager[None]:
        """Let the encoder of a modality that one row has normalise without that row's variance."""
        lone = self.training and num_rows == 1
        return running_statistics(encoder) if lone else nullcontext()

    def _placed(self, modality: str, encoded: Mapping[str, Tensor], batch: Batch) -> Tensor:
        mask = batch.present.get(modality)
        if mask is None:
            return encoded[modality]
        rows = encoded.get(modality)
        if rows is None:
            width = cast(int, self.encoders[modality].out_features)
            other = next(iter(encoded.values()), None)
            dtype = torch.get_default_dtype() if other is None else other.dtype
            return torch.zeros(mask.shape[0], width, dtype=dtype, device=mask.device)
        return self._in_place(rows, mask)

    def _placed_tokens(self, modality: str, encoded: Mapping[str, Tokens], batch: Batch) -> Tokens:
        mask, tokens = batch.present.get(modality), encoded.get(modality)
        if mask is None:
            return encoded[modality]
        if tokens is None:
            width = token_features(self.encoders[modality])
            dtype = next((t.values.dtype for t in encoded.values()), torch.get_default_dtype())
            return Tokens(torch.zeros(mask.shape[0], 1, width, dtype=dtype, device=mask.device))
        padding = None if tokens.padding is None else self._in_place(tokens.padding, mask)
        return Tokens(self._in_place(tokens.values, mask), padding)

    def _in_place(self, rows: Tensor, mask: Tensor) -> Tensor:
        """Put rows ``(M, ...)`` where ``mask``, Bool ``(B,)``, is true, and zeros elsewhere.

        Of whole batches M is B: the rows lie there already.
        """
        if self._takes_all_rows:
            kept = mask.view(-1, *[1] * (rows.ndim - 1))
            # runtimes of ONNX choose between numbers, not between truth values
            return rows & kept if rows.dtype == torch.bool else rows.masked_fill(~kept, 0)
        return rows.new_zeros(mask.shape[0], *rows.shape[1:]).index_put((mask,), rows)


def _masks_of(features: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
    """Return the masks of the modalities that have features."""
    return {m: mask for m, mask in batch.present.items() if m in features}


def token_features(encoder: nn.Module) -> int:
    """Return the width of an encoder's tokens."""
    width = encoder.token_features if isinstance(encoder, Encoder) else encoder.out_features
    return cast(int, width)


def encode_tokens(encoder: nn.Module, x: Tensor) -> Tokens:
    """Return an encoder's tokens; a custom module has one, its features."""
    return encoder.encode_tokens(x) if isinstance(encoder, Encoder) else Tokens(encoder(x)[:, None])


def pool(encoder: nn.Module, tokens: Tokens) -> Tensor:
    """Return the features ``(B, D)`` of an encoder's tokens."""
    return encoder.pool(tokens) if isinstance(encoder, Encoder) else tokens.values[:, 0]
