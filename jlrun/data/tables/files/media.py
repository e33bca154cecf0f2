"""Sizes of the media files of a table, measured on the first of them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np

from jlrun.data.reading.arrays import load_array
from jlrun.data.tables.files.inputs import AudioSettings, ImageSettings, SeriesSettings
from jlrun.files.regular import check_regular

GRAY = ("1", "L", "LA", "F")
LARGEST_SIDE, LONGEST_SECONDS, LONGEST_SERIES = 64, 10.0, 1_000
_LOOKED_AT = 50


def existing(folder: Path, names: Sequence[str]) -> list[Path]:
    """Return the existing files, up to the number that is measured."""
    # A cell may be an impossible file name: too long, or with a null character.
    return [path for name in names if os.path.isfile(path := folder / name)][:_LOOKED_AT]


def measured_images(settings: ImageSettings, paths: Sequence[Path]) -> ImageSettings:
    """Return settings without gaps."""
    from jlrun.data.reading.image_decoding import open_image

    sides, gray = [], True
    for path in paths:
        try:
            with open_image(path) as image:
                sides.append(min(image.size))
                gray = gray and (image.mode in GRAY or image.mode.startswith("I"))
        except Exception:  # reported when rows are read
            continue
    size = min(round(median(sides)), LARGEST_SIDE) if sides else LARGEST_SIDE
    channels = 1 if sides and gray else 3
    return replace(settings, size=settings.size or size, channels=settings.channels or channels)


def measured_audio(settings: AudioSettings, paths: Sequence[Path]) -> AudioSettings:
    """Return settings without gaps."""
    found = [(rate, length) for path in paths for rate, length in _sound(path)]
    rate = Counter(rate for rate, _ in found).most_common(1)[0][0] if found else 16_000
    longest = max((length / rate for rate, length in found), default=1.0)
    seconds = min(max(round(longest, 2), 0.1), LONGEST_SECONDS)
    return replace(settings, rate=settings.rate or rate, seconds=settings.seconds or seconds)


def _sound(path: Path) -> Iterator[tuple[int, int]]:
    """Yield the rate and number of samples of a recording, if it can be read."""
    import soundfile

    try:
        found = soundfile.info(str(path))
    except (OSError, RuntimeError):
        return
    if found.samplerate > 0:
        yield found.samplerate, found.frames


def measured_series(settings: SeriesSettings, paths: Sequence[Path]) -> SeriesSettings:
    """Return settings without gaps."""
    shapes = []
    for path in paths:
        try:
            shapes.append(read_array(path).shape)
        except (OSError, ValueError):
            continue
    length = min(max((shape[0] for shape in shapes), default=1), LONGEST_SERIES)
    channels = Counter(shape[1] for shape in shapes).most_common(1)[0][0] if shapes else 1
    return replace(
        settings, length=settings.length or length, channels=settings.channels or channels
    )


def read_array(path: Path) -> np.ndarray:
    """Return the series in a file, float64 ``(steps, channels)``, NaN where a value is missing.

    A CSV or TSV file has a step in each line; a first line without numbers names the channels.

    Raises:
        OSError, ValueError: if it holds no such thing (a `UserError` is a ValueError).
    """
    if path.suffix.lower() == ".npy":
        array = load_array(path)
    else:
        check_regular(path)
        delimiter = "," if path.suffix.lower() == ".csv" else "\t"
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        array = np.array([_step(line, delimiter) for line in lines[_has_names(lines, delimiter) :]])
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or not array.size or array.dtype.kind not in "fiub":
        raise ValueError(f"expected numbers (steps, channels), found {array.dtype} {array.shape}")
    return array.astype(np.float64)


def _has_names(lines: Sequence[str], delimiter: str) -> bool:
    try:
        return bool(lines) and _step(lines[0], delimiter) is None
    except ValueError:
        return True


def _step(line: str, delimiter: str) -> list[float]:
    return [float(cell) if cell.strip() else float("nan") for cell in line.split(delimiter)]
