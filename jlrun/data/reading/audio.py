"""Sound files, as the waveforms that a model takes."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, gcd
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from jlrun.data.reading.sound_sizes import require_frames_fit, require_rate, require_samples_held
from jlrun.data.specs import AudioSpec
from jlrun.data.transforms import fit_length
from jlrun.errors import UserError

SUFFIXES = (".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff")
_NO_RATE = "its header has no rate, or none that a recording can have"
_FILTER_REACH = 10  # samples of the lower rate that a resampled one depends on, either way


def read_audio(path: Path, spec: AudioSpec) -> Tensor:
    """Read a sound file as float32 ``(num_samples,)`` at the spec's rate, channels averaged.

    libsndfile tells by its content what a file is: WAV (PCM of 8 to 32 bits, floats, µ-law, A-law,
    ADPCM, RF64), FLAC, OGG, MP3 and others. Another rate is converted by a polyphase filter
    (`scipy.signal`). Only the beginning of a longer file is read; a shorter one ends in silence.

    Raises:
        UserError: if it can't be read.
    """
    if not path.exists():
        raise UserError.of(str(path), "there is no such file")
    require_samples_held(path)

    def most(rate: int) -> int:
        reach = _FILTER_REACH * max(1.0, rate / spec.sample_rate)
        return ceil(spec.num_samples * rate / spec.sample_rate + reach) + 1

    frames, rate = _read_frames(path, most)
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


def _read_frames(path: Path, most: Callable[[int], int]) -> tuple[np.ndarray, int]:
    """Return the first ``most(rate)`` frames, float32 ``(frames, channels)``, and their rate.

    Integers are scaled to [-1, 1). What a cut file lacks is left out.
    """
    import soundfile  # loads a library of C, which configs are checked without

    try:
        with soundfile.SoundFile(str(path)) as file:
            rate = int(file.samplerate)
            frames = min(most(rate), file.frames)
            require_frames_fit(path, frames, file.channels)
            return file.read(frames, dtype="float32", always_2d=True), rate
    except (OSError, RuntimeError) as error:
        reason = _NO_RATE if "SF_INFO" in str(error) else getattr(error, "error_string", error)
        raise UserError.of(str(path), f"not a readable sound file ({reason})") from error
