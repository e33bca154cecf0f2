"""Settings of a table's inputs, for each kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jlrun.ranges import PositiveFloat, PositiveInt

IMAGES = ("bmp", "gif", "jpeg", "jpg", "pbm", "pgm", "png", "pnm", "ppm", "tif", "tiff", "webp")
AUDIO = ("wav", "flac", "ogg", "mp3")
SERIES = ("npy", "csv", "tsv")
MEDIA = ("image", "audio", "series")
KIND_OF_SUFFIX = {
    **{f".{suffix}": "image" for suffix in IMAGES},
    **{f".{suffix}": "audio" for suffix in AUDIO},
    **{f".{suffix}": "series" for suffix in SERIES},
}


@dataclass(frozen=True)
class ImageSettings:
    """Settings of images.

    Attributes:
        size: height and width after resizing, in pixels; None: the most frequent shorter side of
            the measured files, at most 64.
        channels: 3, or 1 for gray; None: 1 if all measured files are gray.
    """

    size: PositiveInt | None = None
    channels: Literal[1, 3] | None = None


@dataclass(frozen=True)
class AudioSettings:
    """Settings of recordings.

    Attributes:
        rate: samples per second; None: the most frequent rate.
        seconds: length after cutting or padding; None: that of the longest measured file, at most
            10.
    """

    rate: PositiveInt | None = None
    seconds: PositiveFloat | None = None


@dataclass(frozen=True)
class SeriesSettings:
    """Settings of series, one file for each.

    Attributes:
        length: steps after cutting or padding; None: those of the longest measured file, at most
            1,000.
        channels: numbers in a step; None: as in the first file.
    """

    length: PositiveInt | None = None
    channels: PositiveInt | None = None


@dataclass(frozen=True)
class TextSettings:
    """Settings of texts.

    Attributes:
        join: whether all columns of text form one modality.
        tokenizer, max_length, max_size, min_count: see `jlrun.data.reading.texts.fit_text_spec`.
    """

    join: bool = True
    tokenizer: str = "token"
    max_length: PositiveInt = 128
    max_size: PositiveInt = 20_000
    min_count: PositiveInt = 2


@dataclass(frozen=True)
class CategorySettings:
    """Settings of categories.

    Attributes:
        max_levels: number of levels kept, the most frequent ones; others count as unknown.
        min_count: training rows with a level from which on it is kept.
    """

    max_levels: PositiveInt = 1_000
    min_count: PositiveInt = 2
