from __future__ import annotations

import torch

from jlrun.data.specs import AudioSpec
from jlrun.models.encoders import AudioCNN

SPEC = AudioSpec(num_samples=16000, sample_rate=8000)


def tone(hertz: float, start: int = 0) -> torch.Tensor:
    x = torch.zeros(1, 16000)
    x[0, start : start + 1024] = torch.sin(2 * torch.pi * hertz * torch.arange(1024.0) / 8000)
    return x


def relative_change(encoder: AudioCNN, a: torch.Tensor, b: torch.Tensor) -> float:
    with torch.no_grad():
        return float((encoder(a) - encoder(b)).norm() / encoder(a).norm())


def test_loudness_does_not_matter() -> None:
    torch.manual_seed(0)
    encoder = AudioCNN(SPEC)
    x = tone(700)
    torch.testing.assert_close(encoder(0.05 * x), encoder(x), rtol=1e-3, atol=1e-4)


def test_pitch_matters_more_than_time() -> None:
    torch.manual_seed(0)
    encoder = AudioCNN(SPEC)
    # a shift by forty frames is one by whole cells of the last map
    later = relative_change(encoder, tone(700, 4096), tone(700, 9216))
    higher = relative_change(encoder, tone(700, 4096), tone(940, 4096))
    assert later < 0.05 * higher


def test_silence_is_finite() -> None:
    assert AudioCNN(SPEC)(torch.zeros(1, 16000)).isfinite().all()


def test_frames_are_a_power_of_two_nearest_to_the_seconds() -> None:
    # 0.064 s are 512 samples at 8 kHz and 2822 at 44.1 kHz; 0.016 s are 128 and 706
    for rate, window, hop in ((8000, 512, 128), (44100, 2048, 706)):
        log_mel = AudioCNN(AudioSpec(4000, rate)).log_mel
        assert (len(log_mel.window), log_mel.hop) == (window, hop)
