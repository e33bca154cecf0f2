"""WAV files, read by the standard library and NumPy."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

PCM, FLOAT, EXTENSIBLE = 0x0001, 0x0003, 0xFFFE  # format tags of the RIFF standard
# (tag, bits) -> what a sample is; three bytes are put together below
_TYPES = {
    (PCM, 8): "u1",
    (PCM, 16): "<i2",
    (PCM, 24): "u1",
    (PCM, 32): "<i4",
    (FLOAT, 32): "<f4",
    (FLOAT, 64): "<f8",
}


class WavError(ValueError):
    """The file is not a WAV file, or not of a kind that is read here."""


@dataclass(frozen=True)
class WavFormat:
    """What a file's ``fmt`` chunk says: ``bits`` of a sample, ``rate`` in frames per second."""

    tag: int
    channels: int
    rate: int
    bits: int

    @property
    def frame_bytes(self) -> int:
        return self.channels * self.bits // 8


def read_frames(path: Path, most: Callable[[int], int]) -> tuple[np.ndarray, int]:
    """Return the first frames of a file, float32 ``(frames, channels)``, and their rate.

    Integers are scaled to [-1, 1). What a cut file lacks is left out.

    Args:
        path: of the file.
        most: rate -> largest number of frames that are needed.

    Raises:
        OSError: if it can't be read.
        WavError: if it is no WAV file, or neither PCM of 8, 16, 24 or 32 bits nor of floats.
    """
    with path.open("rb") as file:
        header = file.read(12)
        if header[:4] != b"RIFF" or header[8:] != b"WAVE":
            raise WavError("it does not begin as a WAV file does")
        form, size = _find_data(file)
        size = min(size, most(form.rate) * form.frame_bytes)
        raw = file.read(size)
    whole = raw[: len(raw) // form.frame_bytes * form.frame_bytes]
    return _samples(whole, form).reshape(-1, form.channels), form.rate


def _find_data(file: BinaryIO) -> tuple[WavFormat, int]:
    """Read up to the samples; return their format and the bytes that they take."""
    form = None
    while len(head := file.read(8)) == 8:
        name, size = struct.unpack("<4sI", head)
        if name == b"data":
            if form is None:
                raise WavError("its samples come before their format")
            return form, size
        content = file.read(size + size % 2)  # chunks begin at even places
        if name == b"fmt ":
            form = _format(content)
    raise WavError("it has no samples" if form else "it ends within its header")


def _format(content: bytes) -> WavFormat:
    if len(content) < 16:
        raise WavError("it ends within its header")
    tag, channels, rate, _, _, bits = struct.unpack("<HHIIHH", content[:16])
    if tag == EXTENSIBLE and len(content) >= 26:
        (tag,) = struct.unpack("<H", content[24:26])
    if (tag, bits) not in _TYPES:
        raise WavError(
            f"{bits} bit of format {tag}; expected PCM of 8, 16, 24 or 32 bit, or floats"
        )
    if not channels or not rate:
        raise WavError("its header has no channel or no rate")
    return WavFormat(tag, channels, rate, bits)


def _samples(raw: bytes, form: WavFormat) -> np.ndarray:
    values = np.frombuffer(raw, dtype=_TYPES[form.tag, form.bits])
    if form.tag == FLOAT:
        return values.astype(np.float32)
    if form.bits == 8:  # the only unsigned one
        return (values.astype(np.float32) - 128) / 128
    if form.bits == 24:
        padded = np.zeros((len(values) // 3, 4), np.uint8)
        padded[:, 1:] = values.reshape(-1, 3)
        values = padded.view("<i4")[:, 0]  # 256 times too large, as 32 bits have it
    return (values / 2.0 ** (8 * values.itemsize - 1)).astype(np.float32)
