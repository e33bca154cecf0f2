"""Sound files, as the waveforms that a model takes."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, gcd
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from jlrun.data.specs import AudioSpec
from jlrun.data.transforms import fit_length
from jlrun.data.wav import WavError, read_frames
from jlrun.errors import UserError
from jlrun.extras import import_extra
from jlrun.sound_sizes import require_frames_fit, require_rate, require_samples_held

EXTRA = "audio"
NATIVE = (".wav", ".wave")
SUFFIXES = (*NATIVE, ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff")
_FILTER_REACH = 10  # samples of the lower rate that a resampled one depends on, either way


def read_audio(path: Path, spec: AudioSpec) -> Tensor:
    """Read a sound file as float32 ``(num_samples,)`` at the spec's rate, channels averaged.

    WAV files (PCM of 8 to 32 bits, floats) need no other library; FLAC, OGG, MP3 and others are
    read by soundfile. Another rate is converted by a polyphase filter (`scipy.signal`). Only the
    beginning of a longer file is read; a shorter one ends in silence.

    Raises:
        UserError: if it can't be read, or soundfile is needed and not installed.
    """
    if not path.exists():
        raise UserError.of(str(path), "there is no such file")
    require_samples_held(path)

    def most(rate: int) -> int:
        reach = _FILTER_REACH * max(1.0, rate / spec.sample_rate)
        return ceil(spec.num_samples * rate / spec.sample_rate + reach) + 1

    read = _read_wav if path.suffix.lower() in NATIVE else _read_by_soundfile
    frames, rate = read(path, most)
    require_rate(path, rate)
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


def _read_wav(path: Path, most: Callable[[int], int]) -> tuple[np.ndarray, int]:
    try:
        return read_frames(path, most)
    except (OSError, WavError) as error:
        raise UserError.of(str(path), f"not a readable WAV file ({error})") from error


def _read_by_soundfile(path: Path, most: Callable[[int], int]) -> tuple[np.ndarray, int]:
    library = import_extra("soundfile", EXTRA, str(path))
    try:
        with library.SoundFile(str(path)) as file:
            rate = int(file.samplerate)
            frames = min(most(rate), file.frames)
            require_frames_fit(path, frames, file.channels)
            return file.read(frames, dtype="float32", always_2d=True), rate
    except (OSError, library.SoundFileError) as error:
        raise UserError.of(str(path), f"not a readable sound file ({error})") from error
