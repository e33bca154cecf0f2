"""Sound files of every usual kind."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from scipy.io import wavfile
from scipy.signal import resample_poly

from jlrun.data.reading.audio import read_audio, resample
from jlrun.data.specs import AudioSpec
from jlrun.errors import UserError

SPEC = AudioSpec(num_samples=80, sample_rate=8000)
HEADER = (
    b"RIFF\x28\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00%b"
    b"\x40\x1f\x00\x00\x02\x00\x10\x00data\x04\x00\x00\x00\x00\x00\x00\x00"
)
TONE = np.sin(np.arange(80) / 5) * 0.5


def write_pcm(path: Path, samples: np.ndarray, width: int, rate: int = 8000) -> None:
    """Write ``(frames,)`` or ``(frames, channels)`` of floats as PCM of ``width`` bytes."""
    whole = np.round(samples * 2 ** (8 * width - 1)).astype("<i4")
    if width == 1:
        whole = whole + 128
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(np.ascontiguousarray(whole).view("u1").reshape(-1, 4)[:, :width].tobytes())


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_pcm_of_every_width(tmp_path: Path, width: int) -> None:
    write_pcm(tmp_path / "a.wav", TONE, width)
    found = read_audio(tmp_path / "a.wav", SPEC)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), TONE, atol=max(0.51 / 2 ** (8 * width - 1), 1e-7))


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int32, np.uint8])
def test_agrees_with_scipy(tmp_path: Path, kind: type) -> None:
    scale = {np.int32: 2**31, np.uint8: 128}.get(kind, 1)
    values = (TONE * scale + (128 if kind is np.uint8 else 0)).astype(kind)
    wavfile.write(tmp_path / "a.wav", 8000, values)
    _, expected = wavfile.read(tmp_path / "a.wav")
    expected = (expected.astype(np.float64) - (128 if kind is np.uint8 else 0)) / scale
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav", SPEC).numpy(), expected, atol=1e-7)


def test_the_extensible_header_and_other_chunks_are_read(tmp_path: Path) -> None:
    write_pcm(tmp_path / "a.wav", TONE, 2)
    plain = (tmp_path / "a.wav").read_bytes()
    fmt, data = plain[20:36], plain[44:]
    sub = b"\x01\x00\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"
    extended = b"\xfe\xff" + fmt[2:] + b"\x16\x00\x10\x00\x04\x00\x00\x00" + sub
    chunks = b"LIST\x03\x00\x00\x00abc\x00" + b"fmt \x28\x00\x00\x00" + extended
    chunks += b"data" + len(data).to_bytes(4, "little") + data
    (tmp_path / "b.wav").write_bytes(b"RIFF\x00\x00\x00\x00WAVE" + chunks)
    assert read_audio(tmp_path / "b.wav", SPEC).equal(read_audio(tmp_path / "a.wav", SPEC))


def test_channels_are_averaged_and_short_sounds_end_in_silence(tmp_path: Path) -> None:
    write_pcm(tmp_path / "a.wav", np.tile([0.25, 0.5], (60, 1)), 2)
    expected = [0.375] * 60 + [0.0] * 20
    assert read_audio(tmp_path / "a.wav", SPEC).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("rate", [4000, 11025, 16000, 44100])
def test_another_rate_is_converted(tmp_path: Path, rate: int) -> None:
    times = np.arange(3 * rate // 4) / rate
    write_pcm(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 440 * times), 4, rate)
    found = read_audio(tmp_path / "a.wav", AudioSpec(4000, 8000)).numpy()
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(4000) / 8000)
    assert np.abs(found - expected)[100:].max() < 0.01


def test_reading_only_the_beginning_changes_nothing(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 5000)
    write_pcm(tmp_path / "a.wav", noise, 4, 11025)
    whole = resample_poly(noise, 320, 441)[:80]
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav", SPEC).numpy(), whole, atol=1e-6)
    assert len(resample(noise, 11025, 8000)) == -(-5000 * 320 // 441)


def test_a_sound_cut_within_a_frame_is_read_to_its_last_whole_one(tmp_path: Path) -> None:
    write_pcm(tmp_path / "a.wav", np.full((40, 2), 0.5), 2)
    data = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").write_bytes(data[:-3])
    expected = [0.5] * 39 + [0.0] * 41
    assert read_audio(tmp_path / "a.wav", SPEC).tolist() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3"])
def test_compressed_sounds(tmp_path: Path, suffix: str) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    soundfile.write(tmp_path / f"a.{suffix}", np.stack([tone, tone], axis=1), 16000)
    found = read_audio(tmp_path / f"a.{suffix}", AudioSpec(8000, 8000)).numpy()
    spectrum = np.abs(np.fft.rfft(found))
    assert spectrum.argmax() == 440
    assert np.sqrt((found**2).mean()) == pytest.approx(0.5 / np.sqrt(2), rel=0.1)


@pytest.mark.parametrize("kind", ["ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM", "RF64", "PCM_24"])
def test_wav_files_of_every_coding(tmp_path: Path, kind: str) -> None:
    name, tone = tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)
    if kind == "RF64":
        soundfile.write(name, tone, 8000, format="RF64")
    else:
        soundfile.write(name, tone, 8000, subtype=kind)
    found = read_audio(name, AudioSpec(8000, 8000)).numpy()
    adaptive = "ADPCM" in kind  # its steps grow from small ones
    begin, tolerance = (400, 0.05) if adaptive else (0, 0.02 if "LAW" in kind else 1e-4)
    np.testing.assert_allclose(found[begin:], tone[begin:], atol=tolerance)


@pytest.mark.parametrize("promised", [10_000, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_header_that_promises_more_than_there_is_is_refused(
    tmp_path: Path, promised: int
) -> None:
    write_pcm(tmp_path / "a.wav", TONE[:40], 2)
    data = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "b.wav").write_bytes(data[:40] + promised.to_bytes(4, "little") + data[44:])
    with pytest.raises(UserError, match=r"b.wav: its header states .*, the file has 80B"):
        read_audio(tmp_path / "b.wav", SPEC)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "there is no such file"),
        (b"", "Format not recognised"),
        (b"no sound at all", "Format not recognised"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "not a readable sound file"),
        (b"RIFF\x00\x00\x00\x00WAVEdata\x00\x00\x00\x00", "not a readable sound file"),
        (HEADER % b"\x00\x00\x00\x00", "its header has no rate"),
        (HEADER % b"\xff\xff\xff\xff", "its header has no rate"),
    ],
)
def test_what_is_no_sound_is_told(tmp_path: Path, content: bytes | None, expected: str) -> None:
    path = tmp_path / "a.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_audio(path, SPEC)
    assert str(path) in str(caught.value)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
