from __future__ import annotations

import pytest
import torch

from jlrun.data.specs import AudioSpec
from jlrun.errors import UserError
from jlrun.models.encoders import AudioTransformer

SPEC = AudioSpec(num_samples=8000, sample_rate=8000)


@torch.no_grad()
def test_patches_cover_the_spectrogram() -> None:
    encoder = AudioTransformer(SPEC, pool="token").eval()
    # 63 frames of 16 ms and 64 bands: 8 times 8 patches, the last column padded, and a class token
    tokens = encoder.encode_tokens(torch.randn(2, 8000))
    assert tokens.values.shape == (2, 65, 128)
    assert encoder.vit.grid == (8, 8)


@torch.no_grad()
def test_loudness_does_not_matter() -> None:
    encoder = AudioTransformer(SPEC).eval()
    x = torch.sin(torch.arange(8000.0) * 0.55)[None]
    torch.testing.assert_close(encoder(0.05 * x), encoder(x), rtol=1e-3, atol=1e-3)


def test_heads_that_do_not_divide_the_width_are_told() -> None:
    with pytest.raises(UserError, match=r"backbone\.audio\.heads: 3 heads"):
        AudioTransformer(SPEC, heads=3)
