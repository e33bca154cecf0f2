"""Small sets of images and recordings of digits, in the formats of MNIST and FSDD."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from tests.data.idx_files import write_mnist

TRAIN, TEST = 200, 40
SPEAKERS = ("anna", "theo")
TRAIN_CLIPS, TEST_CLIPS = range(5, 10), range(5)
LENGTH = 600  # of a recording, in samples


def write_av_digits(folder: Path) -> Path:
    """Write random images, and a tone of its own for each recording; return ``folder``."""
    images = np.random.default_rng(0).integers(0, 256, (TRAIN, 28, 28), dtype=np.uint8)
    halves = images // 2
    # Means of two images each lie in the span of their principal components.
    write_mnist(folder, images, halves[:TEST] + halves[1 : TEST + 1])
    for digit in range(10):
        for speaker, name in enumerate(SPEAKERS):
            for index in (*TEST_CLIPS, *TRAIN_CLIPS):
                path = folder / "fsdd" / f"{digit}_{name}_{index}.wav"
                record(path, tone(number_of(digit, speaker, index)))
    return folder


def tone(number: int) -> np.ndarray:
    """A sine of a frequency of its own: ``number`` periods."""
    return 0.5 * np.sin(2 * np.pi * number * np.arange(LENGTH) / LENGTH)


def number_of(digit: int, speaker: int, index: int) -> int:
    return 1 + index + 10 * (digit + 10 * (speaker))  # at most 199


def record(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes((32767 * samples).astype("<i2").tobytes())
