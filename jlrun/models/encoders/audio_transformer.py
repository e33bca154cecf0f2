"""Small transformer on log-mel spectrograms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from jlrun.data.specs import AudioSpec, ImageSpec
from jlrun.models.encoders.base import Encoder, Stage, Tokens
from jlrun.models.encoders.log_mel import log_mel_of, standardised
from jlrun.models.encoders.transformer_blocks import check_heads
from jlrun.models.encoders.vit import ViT
from jlrun.ranges import Fraction, PositiveFloat, PositiveInt


class AudioTransformer(Encoder):
    """Vision transformer whose image is a clip's spectrogram.

    Gong et al., "AST: Audio Spectrogram Transformer", Interspeech 2021. Differs from it in: it is
    small and starts from nothing; patches do not overlap; each clip's spectrogram is brought to
    mean 0 and variance 1 by itself, so that loudness does not matter.

    Args:
        spec: mono waveforms ``(L,)``.
        num_mels: frequency bands.
        window_seconds: length of a frame, rounded to a power of two in samples.
        hop_seconds: time between frames.
        patch: bands and frames of a patch. Cost grows with the square of the number of patches.
        width: D of the tokens, and of the features ``(B, D)``.
        depth: number of blocks.
        heads: of the attention; they divide ``width``.
        dropout: share of the embedded patches, and of what each layer adds, dropped in training.
        pool: the features are the class ``token``, or the ``mean`` of the patches.

    Raises:
        UserError: if ``heads`` does not divide ``width``.
    """

    def __init__(
        self,
        spec: AudioSpec,
        num_mels: PositiveInt = 64,
        window_seconds: PositiveFloat = 0.064,
        hop_seconds: PositiveFloat = 0.016,
        patch: PositiveInt = 8,
        width: PositiveInt = 128,
        depth: PositiveInt = 4,
        heads: PositiveInt = 4,
        dropout: Fraction = 0.0,
        pool: Literal["token", "mean"] = "mean",
    ) -> None:
        super().__init__()
        check_heads("backbone.audio", width, heads)
        self.log_mel = log_mel_of(spec, num_mels, window_seconds, hop_seconds)
        frames = 1 + spec.num_samples // self.log_mel.hop
        image = ImageSpec(1, num_mels, frames, (), ())
        self.vit = ViT(image, patch, width, depth, heads, dropout, pool)
        self.out_features = width

    def forward(self, x: Tensor) -> Tensor:
        return self.vit(self._spectrogram(x))

    def encode_tokens(self, x: Tensor) -> Tokens:
        """Return the normalised patches, band by band, a class token first."""
        return self.vit.encode_tokens(self._spectrogram(x))

    def pool(self, tokens: Tokens) -> Tensor:
        return self.vit.pool(tokens)

    def stages(self) -> Sequence[Stage]:
        first, *others = self.vit.stages()
        return (Stage(lambda x: first.run(self._spectrogram(x)), first.channels), *others)

    def _spectrogram(self, x: Tensor) -> Tensor:
        return standardised(self.log_mel(x))[:, None]
