"""Inputs of a table: settings of each kind, and the columns that each modality is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from jlrun.data.reading.image_fit import Colour
from jlrun.data.specs import BACKGROUND, Resize
from jlrun.data.tables.files.column_names import distinct_slugs
from jlrun.ranges import PositiveFloat, PositiveInt

ColumnKind = Literal["image", "audio", "series", "text", "number", "category", "date", "ignore"]
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
        resize: ``crop`` to a square first, ``pad`` to one, or ``squeeze`` into one.
        background: colour of the padding and under transparent pixels.
    """

    size: PositiveInt | None = None
    channels: Literal[1, 3] | None = None
    resize: Resize = "crop"
    background: Colour = BACKGROUND


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


_ALONE = ("image", "audio", "series")


@dataclass(frozen=True)
class ColumnsOf:
    """The columns of a modality.

    Attributes:
        kind: of the modality.
        columns: its columns; for ``tabular``, those of numbers.
        categories: for ``tabular``, the columns of categories.
        dates: for ``tabular``, the columns of dates.
    """

    kind: str
    columns: tuple[str, ...]
    categories: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """All columns, in the order of the cells of the modality."""
        return (*self.columns, *self.dates, *self.categories)


def modalities_of(columns: Mapping[str, ColumnKind], join_texts: bool) -> dict[str, ColumnsOf]:
    """Return modality -> its columns.

    A modality has the name of its kind, or of kind and column where there are several of one kind.
    Numbers, dates and categories form one modality, ``tabular``; texts form one if ``join_texts``.
    """
    found: dict[str, ColumnsOf] = {}
    for kind in ("image", "audio", "text", "series"):
        names = tuple(name for name, found_kind in columns.items() if found_kind == kind)
        if kind in _ALONE or not join_texts:
            called = {n: f"{kind}_{s}" for n, s in distinct_slugs(names).items()}
            if len(names) == 1:
                called = {names[0]: kind}
            found |= {called[name]: ColumnsOf(kind, (name,)) for name in names}
        elif names:
            found[kind] = ColumnsOf(kind, names)
    numbers = tuple(name for name, kind in columns.items() if kind == "number")
    categories = tuple(name for name, kind in columns.items() if kind == "category")
    dates = tuple(name for name, kind in columns.items() if kind == "date")
    if numbers or categories or dates:
        found["tabular"] = ColumnsOf("tabular", numbers, categories, dates)
    return found
