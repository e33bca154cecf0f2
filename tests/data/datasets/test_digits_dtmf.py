"""A digit as a damaged image, a telephone key tone and a word."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from jlrun.data.datasets.digits import digit_images
from jlrun.data.datasets.digits_dtmf import (
    NAMES,
    SAMPLE_RATE,
    TOLERANCE,
    key_frequencies,
    key_sounds,
    load_digits_dtmf,
    tones,
)
from jlrun.data.specs import TextSpec

# ITU-T Q.23 (1988), table 1: frequencies of the push-button keys, in Hz.
STANDARD = {
    "0": (941, 1336),
    "1": (697, 1209),
    "2": (697, 1336),
    "3": (697, 1477),
    "4": (770, 1209),
    "5": (770, 1336),
    "6": (770, 1477),
    "7": (852, 1209),
    "8": (852, 1336),
    "9": (852, 1477),
    "*": (941, 1209),
    "#": (941, 1477),
    "A": (697, 1633),
    "D": (941, 1633),
}


def two_peaks(sound: Tensor) -> list[float]:
    """The strongest frequency below and above 1 kHz, to 1 Hz, of waveforms ``(L,)``."""
    power = torch.fft.rfft(sound.double(), n=SAMPLE_RATE).abs()
    return [float(power[600:1070].argmax()) + 600, float(power[1070:1800].argmax()) + 1070]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("key", "frequencies"), STANDARD.items())
def test_key_frequencies_are_the_standard(key: str, frequencies: tuple[float, float]) -> None:
    assert key_frequencies(key) == frequencies


@pytest.mark.parametrize("key", "0123456789")
def test_spectrum_of_a_clean_tone_peaks_at_the_keys_frequencies(key: str) -> None:
    frequencies = torch.tensor([key_frequencies(key)])
    sound = tones(frequencies, torch.tensor([[0.3, 2.0]]), SAMPLE_RATE, SAMPLE_RATE)[0]
    assert two_peaks(sound) == list(STANDARD[key])
    assert sound.square().mean() == pytest.approx(1, abs=1e-4)


def test_sounds_hold_the_digits_tone_within_the_tolerance() -> None:
    digit = torch.arange(10).repeat(5)
    sounds = key_sounds(digit, 4096, (60.0, 60.0), generator())
    for d, sound in zip(digit.tolist(), sounds, strict=True):
        for found, standard in zip(two_peaks(sound), STANDARD[str(d)], strict=True):
            # The tone may last 40 ms only: the leaked other tone moves a peak by a few Hz.
            assert abs(found - standard) <= TOLERANCE * standard + 6


def test_signal_to_noise_ratio_while_the_tone_lasts() -> None:
    digit = torch.full((400,), 5)
    # 320 samples are the shortest tone, so it lasts for all of them.
    clean = key_sounds(digit, 320, (200.0, 200.0), generator())
    noisy = key_sounds(digit, 320, (-6.0, -6.0), generator())
    along = (clean * noisy).sum(dim=1) / clean.square().sum(dim=1)
    rest = noisy - along[:, None] * clean
    ratio = (along.square() * clean.square().sum(dim=1)).sum() / rest.square().sum()
    assert 10 * ratio.log10() == pytest.approx(-6, abs=0.3)


def test_signal_to_noise_ratio_varies_over_rows() -> None:
    digit = torch.full((300,), 5)
    low, wide, high = (
        key_sounds(digit, 320, decibels, generator())
        for decibels in ((-20.0, -20.0), (-20.0, 20.0), (20.0, 20.0))
    )
    tone = key_sounds(digit, 320, (200.0, 200.0), generator())
    share = [torch.cosine_similarity(x, tone, dim=1) for x in (low, wide, high)]
    assert share[0].mean() < 0.2
    assert share[1].std() > 0.25
    assert share[2].mean() > 0.98


def test_every_sound_is_equally_loud_and_in_range() -> None:
    audio = load_digits_dtmf().train.fetch(torch.arange(1797)).inputs["audio"]
    assert audio.shape == (1797, 1024)
    assert audio.abs().max() <= 1
    assert torch.allclose(audio.square().mean(dim=1).sqrt(), torch.tensor(0.2), atol=2e-3)


def test_text_is_the_digits_name() -> None:
    dataset = load_digits_dtmf()
    batch = dataset.train.fetch(torch.arange(1797))
    spec = dataset.modalities["text"]
    assert isinstance(spec, TextSpec)
    words = [spec.vocabulary[int(token) - 2] for token in batch.inputs["text"][:, 0]]
    assert words == [NAMES[d] for d in batch.targets["digit"].tolist()]
    assert NAMES[7] == "seven"


def test_rows_are_the_digits_once_each() -> None:
    images, digit = digit_images()
    dataset = load_digits_dtmf(image_noise=0.0, occlusion=0)
    batch = dataset.train.fetch(torch.arange(1797))
    assert torch.equal(batch.inputs["image"], images)
    assert torch.equal(batch.targets["digit"], digit)
    assert torch.equal(batch.targets["parity"], digit % 2)


def test_occlusion_blackens_one_square() -> None:
    images, _ = digit_images()
    rows = load_digits_dtmf(image_noise=0.0, occlusion=3).train
    changed = rows.fetch(torch.arange(1797)).inputs["image"] != images
    assert (changed.any(dim=3).sum(dim=2) <= 3).all()
    assert (changed.any(dim=2).sum(dim=2) <= 3).all()
    often_inked = (images > 0).sum(dim=0) > 400
    assert changed.any(dim=0)[often_inked].all()


def test_noise_is_drawn_for_each_row() -> None:
    images, _ = digit_images()
    rows = load_digits_dtmf(image_noise=0.4, occlusion=0).train
    noise = rows.fetch(torch.arange(1797)).inputs["image"].double() - images.double()
    grey = (images > 100) & (images < 155)  # not clipped at black or white
    assert 255 * 0.15 < noise[grey].std() < 255 * 0.25  # 0.4 / sqrt(3) = 0.23, less clipping
    per_row = noise.flatten(1).std(dim=1)
    assert per_row.min() < 5
    assert per_row.max() > 50


def test_longer_sounds() -> None:
    dataset = load_digits_dtmf(seconds=0.25)
    assert dataset.train.fetch(torch.tensor([0])).inputs["audio"].shape == (1, 2000)
