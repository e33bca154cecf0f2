"""What a table's node may say of its kinds of inputs."""

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
    """Images of a table.

    Attributes:
        size: height and width they are brought to, in pixels; None: the usual shorter side of
            those there are, at most 64.
        channels: 3 or, in gray, 1; None: 1 where all that were looked at are gray.
    """

    size: PositiveInt | None = None
    channels: Literal[1, 3] | None = None


@dataclass(frozen=True)
class AudioSettings:
    """Recordings of a table.

    Attributes:
        rate: samples per second; None: what most recordings have.
        seconds: length they are cut or padded to; None: the longest that was looked at, at most 10.
    """

    rate: PositiveInt | None = None
    seconds: PositiveFloat | None = None


@dataclass(frozen=True)
class SeriesSettings:
    """Series of a table, one file for each.

    Attributes:
        length: steps they are cut or padded to; None: of the longest that was looked at, at most
            1,000.
        channels: numbers in a step; None: what the first has.
    """

    length: PositiveInt | None = None
    channels: PositiveInt | None = None


@dataclass(frozen=True)
class TextSettings:
    """Texts of a table.

    Attributes:
        join: whether several columns of text are one modality, or each one of its own.
        tokenizer, max_length, max_size, min_count: see `jlrun.data.reading.texts.fit_text_spec`.
    """

    join: bool = True
    tokenizer: str = "token"
    max_length: PositiveInt = 128
    max_size: PositiveInt = 20_000
    min_count: PositiveInt = 2


@dataclass(frozen=True)
class CategorySettings:
    """Categories of a table.

    Attributes:
        max_levels: most frequent levels that are kept; the others count as unknown.
        min_count: training rows that a level must be in to be kept.
    """

    max_levels: PositiveInt = 1_000
    min_count: PositiveInt = 2
