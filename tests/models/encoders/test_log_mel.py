from __future__ import annotations

import numpy as np
import pytest
import torch

from jlrun.models.encoders.log_mel import LogMel, mel_filters


def slaney_hz(mels: np.ndarray) -> np.ndarray:
    """Hz of mels, written from Slaney's Auditory Toolbox (1998) in its own terms: 133.3 Hz plus
    66.67 Hz per filter up to 1 kHz is 3 mels per 200 Hz, then a factor of 1.0711703 per mel."""
    return np.where(mels < 15, mels * 200 / 3, 1000 * 1.0711703 ** (mels - 15))


def reference(x: np.ndarray, sample_rate: int, window: int, hop: int, num_mels: int) -> np.ndarray:
    """Mel power in float64 NumPy, frame by frame and filter by filter."""
    padded = np.pad(x.astype(np.float64), window // 2)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    starts = range(0, len(x) + 1, hop)
    frames = np.stack([padded[start : start + window] * hann for start in starts])
    power = np.abs(np.fft.rfft(frames)) ** 2
    highest = 15 + np.log(sample_rate / 2 / 1000) / np.log(1.0711703)
    corners = slaney_hz(np.linspace(0, highest, num_mels + 2))
    frequencies = np.fft.rfftfreq(window, 1 / sample_rate)
    bands = []
    for low, centre, high in zip(corners[:-2], corners[1:-1], corners[2:], strict=True):
        triangle = np.interp(frequencies, [low, centre, high], [0, 1, 0], left=0, right=0)
        bands.append(power @ (triangle * 2 / (high - low)))
    return np.stack(bands)


def test_filters_equal_librosas() -> None:
    # librosa.filters.mel(sr=22050, n_fft=2048), as printed in the documentation of the Rust crate
    # mel_filter, which follows librosa
    first = [0.0, 0.016182853208219942, 0.032365706416439884, 0.028990088037379964]
    first += [0.012807234829160026, 0.0]
    second = [0.0, 0.0, 0.0, 0.009779235793639925, 0.025962089001859864, 0.035393705451959974]
    second += [0.01921085224374004, 0.003027999035520103, 0.0]
    filters = mel_filters(22050, 2048, 128)
    assert filters.shape == (128, 1025)
    torch.testing.assert_close(filters[0, :6], torch.tensor(first, dtype=torch.float64))
    torch.testing.assert_close(filters[1, :9], torch.tensor(second, dtype=torch.float64))


@pytest.mark.parametrize(
    ("sample_rate", "window", "hop", "num_mels", "length"),
    [(8000, 512, 128, 64, 4000), (22050, 1024, 256, 40, 5000), (16000, 400, 160, 23, 333)],
)
def test_power_equals_an_independent_reference(
    sample_rate: int, window: int, hop: int, num_mels: int, length: int
) -> None:
    generator = np.random.default_rng(0)
    time = np.arange(length) / sample_rate
    x = np.sin(2 * np.pi * 697 * time) + 0.3 * generator.standard_normal(length)
    expected = reference(x, sample_rate, window, hop, num_mels)
    module = LogMel(sample_rate, window, hop, num_mels)
    power = module.power(torch.from_numpy(x).float()[None])[0].numpy()
    assert power.shape == expected.shape == (num_mels, 1 + length // hop)
    np.testing.assert_allclose(power, expected, rtol=1e-5, atol=1e-5 * expected.max())


@pytest.mark.parametrize(
    ("sample_rate", "window", "hop", "num_mels"), [(8000, 512, 128, 64), (22050, 2048, 512, 128)]
)
def test_agrees_with_librosa(
    sample_rate: int, window: int, hop: int, num_mels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_OPT", "0")  # a third less time to compile what runs once
    librosa = pytest.importorskip("librosa")
    generator = np.random.default_rng(1)
    x = np.sin(2 * np.pi * 697 * np.arange(6000) / sample_rate)
    x = (x + 0.3 * generator.standard_normal(6000)).astype(np.float32)
    options = {"sr": sample_rate, "n_fft": window, "n_mels": num_mels}
    bank = librosa.filters.mel(**options)
    np.testing.assert_allclose(mel_filters(sample_rate, window, num_mels), bank, atol=1e-7)
    power = librosa.feature.melspectrogram(y=x, hop_length=hop, pad_mode="constant", **options)
    module = LogMel(sample_rate, window, hop, num_mels).double()
    found = module.power(torch.from_numpy(x).double()[None])[0].numpy()
    np.testing.assert_allclose(found, power, rtol=1e-5, atol=1e-5 * power.max())
    decibels = librosa.power_to_db(power, ref=np.max, top_db=80)
    found = module(torch.from_numpy(x).double()[None])[0].numpy()
    np.testing.assert_allclose(found, decibels, atol=1e-3)  # in decibels, of float32 in librosa


def test_decibels_are_relative_to_the_loudest_and_limited() -> None:
    x = torch.sin(2 * torch.pi * 1000 / 8000 * torch.arange(4000.0))
    module = LogMel(8000, 512, 128, 40, range_db=30.0)
    decibels, power = module(torch.stack([x, 0.01 * x])), module.power(x[None])
    # librosa.power_to_db(power, ref=np.max, top_db=30)
    expected = (10 * torch.log10(power / power.max())).clamp(min=-30)
    torch.testing.assert_close(decibels[:1], expected, rtol=0, atol=1e-4)
    torch.testing.assert_close(decibels[1], decibels[0], rtol=0, atol=1e-3)


def test_a_tone_is_loudest_in_its_band() -> None:
    # 440 Hz is mel 6.6 (the documentation of librosa.hz_to_mel); 4 kHz is mel 35.16
    x = torch.sin(2 * torch.pi * 440 / 8000 * torch.arange(8000.0))
    loudest = LogMel(8000, 1024, 256, 64)(x[None]).mean(dim=2).argmax()
    assert int(loudest) == round(6.6 / (35.16 / 65)) - 1


def test_silence_is_finite() -> None:
    assert LogMel(8000, 256, 64, 20)(torch.zeros(2, 1000)).eq(0).all()


def test_half_precision_around_it_changes_nothing() -> None:
    x = torch.randn(1, 2000)
    module = LogMel(8000, 256, 64, 20)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = module(x)
    torch.testing.assert_close(inside, module(x), rtol=0, atol=0)
