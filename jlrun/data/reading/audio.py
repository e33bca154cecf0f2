"""Sound files as waveforms; headers are checked before decoding."""

from __future__ import annotations

import struct
from collections.abc import Callable
from math import ceil, gcd
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from jlrun.data.reading.decoded import decoded
from jlrun.data.specs import AudioSpec
from jlrun.data.transforms import fit_length
from jlrun.errors import UserError
from jlrun.files.limits import check_room, size_text
from jlrun.files.regular import check_regular

SUFFIXES = (".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff")
_NO_RATE = "its header has no rate, or none that a recording can have"
_FILTER_REACH = 10  # samples of the lower rate that a resampled one depends on, either way


HIGHEST_RATE = 1_000_000
_UNKNOWN = 0xFFFFFFFF  # RF64 has the size in its first chunk instead


def read_audio(path: Path, spec: AudioSpec) -> Tensor:
    """Read a sound file as float32 ``(num_samples,)`` at the spec's rate, channels averaged.

    libsndfile recognises formats by content: WAV (PCM of 8 to 32 bits, floats, µ-law, A-law,
    ADPCM, RF64), FLAC, OGG, MP3 and others. Another rate is converted by a polyphase filter
    (`scipy.signal`). Only the beginning of a longer file is read; a shorter one ends in silence.

    Raises:
        UserError: if it can't be read.
    """
    form = ("audio", spec.sample_rate, spec.num_samples)
    shape = (spec.num_samples,)
    return decoded(path, form, shape, torch.float32, lambda: _decode(path, spec))


def _decode(path: Path, spec: AudioSpec) -> Tensor:
    if not path.exists():
        raise UserError.of(str(path), "there is no such file")
    check_samples_held(path)

    def most(rate: int) -> int:
        reach = _FILTER_REACH * max(1.0, rate / spec.sample_rate)
        return ceil(spec.num_samples * rate / spec.sample_rate + reach) + 1

    frames, rate = _read_frames(path, most)
    check_rate(path, rate)
    if not np.isfinite(frames).all():
        raise UserError.of(str(path), "has samples that are not finite numbers")
    mono = resample(frames.mean(axis=1), rate, spec.sample_rate)
    return fit_length(torch.from_numpy(mono)[None], spec.num_samples)[0]


def resample(wave: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """Return float32 samples ``(L',)`` at ``wanted`` Hz of ``(L,)`` at ``rate`` Hz."""
    if rate == wanted or not len(wave):
        return wave.astype(np.float32)
    from scipy.signal import resample_poly

    shared = gcd(rate, wanted)
    return resample_poly(wave, wanted // shared, rate // shared).astype(np.float32)


def _read_frames(path: Path, most: Callable[[int], int]) -> tuple[np.ndarray, int]:
    """Return the first ``most(rate)`` frames, float32 ``(frames, channels)``, and their rate.

    Integers are scaled to [-1, 1). What a cut file lacks is left out.
    """
    import soundfile  # loads a C library, which config checks don't need

    try:
        with soundfile.SoundFile(str(path)) as file:
            rate = int(file.samplerate)
            frames = min(most(rate), file.frames)
            check_frames_fit(path, frames, file.channels)
            return file.read(frames, dtype="float32", always_2d=True), rate
    except (OSError, RuntimeError) as error:
        reason = _NO_RATE if "SF_INFO" in str(error) else getattr(error, "error_string", error)
        raise UserError.of(str(path), f"not a readable sound file ({reason})") from error


def check_samples_held(path: Path) -> None:
    """Check that a WAV, RF64 or AIFF file has as many samples as its header states.

    The last frame may be cut, and other formats pass. Reading libraries allocate by the header, or
    stop silently.

    Raises:
        UserError: naming the file, if samples are missing, or it is not a regular file.
    """
    check_regular(path)
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            promised, frame = _promised(file, size)
            held = size - file.tell()
    except (OSError, struct.error) as error:
        raise UserError.of(str(path), f"not a readable sound file ({error})") from error
    if promised - held >= frame:
        raise UserError.of(
            str(path),
            f"its header states {size_text(promised)} of samples, the file has "
            f"{size_text(max(held, 0))}; it is cut or damaged: replace or delete it",
        )


def check_rate(path: Path, rate: int) -> None:
    """Check that the rate is plausible: the resampling filter grows with it.

    Raises:
        UserError: naming the file.
    """
    if not 0 < rate <= HIGHEST_RATE:
        found = f"its header states {rate:,} samples per second"
        raise UserError.of(str(path), f"{found}; expected 1 to {HIGHEST_RATE:,}")


def check_frames_fit(path: Path, frames: int, channels: int) -> None:
    """Check that the decoded frames fit in the memory budget.

    Args:
        path: of the file.
        frames: number of frames to read at once.
        channels: of the file.

    Raises:
        UserError: naming the file and the budget.
    """
    what = f"{frames:,} frames of {channels} channels"
    check_room(path, 4 * max(frames, 0) * channels, what)


def _promised(file: BinaryIO, size: int) -> tuple[int, int]:
    """Return the bytes of all samples and of a frame by the header; 0 and 1 for other formats.

    Leaves the file at its samples.
    """
    head = file.read(12)
    kind, form = head[:4], head[8:]
    if kind in (b"RIFF", b"RF64", b"BW64") and form == b"WAVE":
        return _of_chunk(file, size, b"data", "<")
    if kind == b"RIFX" and form == b"WAVE":
        return _of_chunk(file, size, b"data", ">")
    if kind == b"FORM" and form in (b"AIFF", b"AIFC"):
        return _of_chunk(file, size, b"SSND", ">")
    return 0, 1


def _of_chunk(file: BinaryIO, size: int, wanted: bytes, order: str) -> tuple[int, int]:
    large, frame = None, 1
    while len(head := file.read(8)) == 8:
        name, (length,) = head[:4], struct.unpack(f"{order}I", head[4:])
        if name == wanted:
            return (large if large is not None and length == _UNKNOWN else length), frame
        begin = file.tell()
        if name == b"ds64" and length >= 16:
            large = struct.unpack(f"{order}QQ", file.read(16))[1]
        if name == b"fmt " and length >= 16:
            frame = max(1, struct.unpack(f"{order}12xH", file.read(14))[0])
        end = begin + length + length % 2  # chunks begin at even places
        if end > size:
            break
        file.seek(end)
    return 0, 1
