"""Sound files whose headers promise more than they hold."""

import struct
from pathlib import Path

import pytest

from jlrun.data.reading.audio import (
    check_frames_fit,
    check_rate,
    check_samples_held,
    read_audio,
)
from jlrun.data.specs import AudioSpec
from jlrun.errors import UserError

FMT = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)


def wav(promised: int, held: int, before: bytes = b"") -> bytes:
    return b"RIFF\0\0\0\0WAVE" + before + FMT + b"data" + struct.pack("<I", promised) + bytes(held)


def rf64(promised: int, held: int) -> bytes:
    sizes = b"ds64" + struct.pack("<IQQQI", 28, 0, promised, 0, 0)
    return b"RF64" + wav(0xFFFFFFFF, held, sizes)[4:]


def aiff(promised: int, held: int) -> bytes:
    return b"FORM\0\0\0\0AIFFSSND" + struct.pack(">I", promised) + bytes(held)


@pytest.mark.parametrize("make", [wav, rf64, aiff])
def test_what_is_promised_must_be_held(make: object, tmp_path: Path) -> None:
    assert callable(make)
    path = tmp_path / "a.wav"
    for promised, held in ((200, 200), (200, 201), (0, 0)):
        path.write_bytes(make(promised, held))
        check_samples_held(path)
    for promised in (202, 2**31 - 1, 2**32 - 1 if make is not rf64 else 2**60):
        path.write_bytes(make(promised, 200))
        with pytest.raises(UserError, match=r"a\.wav: its header states .*, the file has 200B"):
            check_samples_held(path)


def test_other_chunks_are_passed_over_and_other_formats_pass(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(4, 4, b"LIST" + struct.pack("<I", 3) + b"abc\0"))
    check_samples_held(path)
    path.write_bytes(b"fLaC and so on")
    check_samples_held(path)
    path.write_bytes(b"")
    check_samples_held(path)


def test_a_reader_refuses_before_it_allocates(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(2**32 - 2, 100))
    with pytest.raises(UserError, match="its header states 4GB of samples, the file has 100B"):
        read_audio(path, AudioSpec(10**9, 8000))


def test_rates_and_lengths_out_of_reason(tmp_path: Path) -> None:
    for rate in (0, -1, 2**32 - 1):
        with pytest.raises(UserError, match="samples per second"):
            check_rate(tmp_path / "a", rate)
    check_rate(tmp_path / "a", 384_000)
    with pytest.raises(UserError, match="memory_budget"):
        check_frames_fit(tmp_path / "a", 2**33, 2)
