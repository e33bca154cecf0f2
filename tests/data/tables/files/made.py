"""Tables made for tests."""

from __future__ import annotations

import csv
import wave
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

WORDS = ("good", "fine", "nice", "poor", "bad", "worn")


def rows_of(count: int, start: int = 0) -> list[dict[str, str]]:
    """Return rows whose note and age tell their label: an even row is good, an odd one bad."""
    rows = []
    for i in range(start, start + count):
        good = i % 2 == 0
        words = WORDS[:3] if good else WORDS[3:]
        rows.append(
            {
                "note": f"it is {words[i % 3]} and it is {words[i // 3 % 3]}, I say",
                "age": str(30 + i % 7 + (20 if good else 0)),
                "colour": ("red", "green", "blue")[i % 3],
                "label": "good" if good else "bad",
                "price": f"{100 + 7 * (i % 5)}.5",
            }
        )
    return rows


def write_csv(path: Path, rows: Sequence[Mapping[str, str]], delimiter: str = ",") -> Path:
    """Write rows with the columns of the first."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_image(path: Path, value: int, size: int = 8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((size, size), value, np.uint8)).save(path)


def write_wav(path: Path, hertz: float, rate: int = 8000, seconds: float = 0.25) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32767).astype("<i2").tobytes())


def with_files(folder: Path, rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Return rows with an image, a recording and a series each, written below ``folder``."""
    for i, row in enumerate(rows):
        good = row["label"] == "good"
        row |= {"photo": f"photos/{i}.png", "clip": f"clips/{i}.wav", "curve": f"curves/{i}.npy"}
        write_image(folder / row["photo"], 200 if good else 50)
        write_wav(folder / row["clip"], 400 if good else 1200)
        (folder / "curves").mkdir(exist_ok=True)
        np.save(folder / row["curve"], np.full((5 + i % 3, 2), float(good), np.float32))
    return list(rows)
