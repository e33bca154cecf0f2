"""Specs of inputs: shapes, vocabularies and statistics of a modality, needed to build a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Literal

Unit = Literal["word", "token", "character", "subword", "bpe", "wordpiece"]
Resize = Literal["crop", "pad", "squeeze"]
BACKGROUND = "white"


@dataclass(frozen=True)
class ImageSpec:
    """Images of shape ``(channels, height, width)``, uint8 in memory, normalised floats in a model.

    Attributes:
        mean, std: of each channel, of values in [0, 1].
        resize: how files of another size are read (`jlrun.data.reading.image_fit`).
        background: colour that transparent pixels and padding of files get.
    """

    channels: int
    height: int
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize: Resize = "crop"
    background: str = BACKGROUND


@dataclass(frozen=True)
class AudioSpec:
    """Mono waveforms of shape ``(num_samples,)``, float32 in [-1, 1], at ``sample_rate`` Hz."""

    num_samples: int
    sample_rate: int


@dataclass(frozen=True)
class TextSpec:
    """Token ids of shape ``(length,)``: 0 is padding, 1 an unknown token.

    Attributes:
        vocabulary: ``vocabulary[i]`` is the token with id ``i + 2``.
        length: number of ids of a text; longer texts are cut, shorter ones padded at the end.
        unit: kind of token (`jlrun.data.reading.texts`): a ``word`` between spaces, in lower case;
            a ``token``: a word or punctuation mark, in lower case, or a character of a script
            without blanks; a ``character``, unchanged; a ``subword`` of ``tokenizer``; ``bpe`` or
            ``wordpiece`` of ``trained``.
        tokenizer: folder or name of the Hugging Face tokenizer of subwords.
        trained: tokenizer that was trained on the training texts, as JSON of ``tokenizers``.
        idf: inverse document frequency of each token of the vocabulary; empty: not known.
        pairs: ids of two tokens that follow each other in several training texts.
        pair_idf: inverse document frequency of each pair.
    """

    vocabulary: tuple[str, ...]
    length: int
    unit: Unit = "word"
    tokenizer: str | None = None
    idf: tuple[float, ...] = ()
    pairs: tuple[tuple[int, int], ...] = ()
    pair_idf: tuple[float, ...] = ()
    trained: str | None = None

    @property
    def num_tokens(self) -> int:
        """Number of distinct ids, padding and unknown included."""
        return len(self.vocabulary) + 2


DatePart = Literal[
    "days",
    "year",
    "month",
    "weekday",
    "hour",
    "year sine",
    "year cosine",
    "week sine",
    "week cosine",
    "day sine",
    "day cosine",
]


@dataclass(frozen=True)
class DateColumn:
    """A column of dates, of which numbers are made.

    Attributes:
        column: its name.
        origin: seconds since 1970 of the date from which ``days`` are counted.
        parts: ``days`` since the origin, ``year``, ``month`` (1 to 12), ``weekday`` (0: Monday),
            ``hour`` (with fractions), and sine and cosine of the place within a year, week and day.
    """

    column: str
    origin: float
    parts: tuple[DatePart, ...]


@dataclass(frozen=True)
class TabularSpec:
    """Cells of a row, ``(N + C,)``: N numbers, then C categories.

    In memory a number is the float64 of the table, in a model a float32, standardised by ``mean``
    and ``std`` (of training rows); NaN where it is missing. A category is the index of its level
    plus 1, and 0 where it is missing or not among the levels.

    Attributes:
        numbers: names of the N numbers: numeric columns, then parts of dates.
        mean, std: of each, over the training rows that have it; ``std`` is above 0.
        categories: names of the C categorical columns.
        levels: of each, the names of its levels.
        edges: of each numeric column, quantiles of its training values, ascending, in the units of
            the table; empty: not known.
        dates: columns of dates, in the order of their parts in ``numbers``.
    """

    numbers: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    categories: tuple[str, ...] = ()
    levels: tuple[tuple[str, ...], ...] = ()
    edges: tuple[tuple[float, ...], ...] = ()
    dates: tuple[DateColumn, ...] = ()

    @property
    def plain_numbers(self) -> tuple[str, ...]:
        """Names of the numeric columns, without the parts of dates."""
        return self.numbers[: len(self.numbers) - sum(len(date.parts) for date in self.dates)]

    @property
    def width(self) -> int:
        """Number of cells N + C."""
        return len(self.numbers) + len(self.categories)


@dataclass(frozen=True)
class SeriesSpec:
    """Series of shape ``(length, channels)``, NaN where a step or a value is missing.

    Shorter series are padded with NaN at the end. In memory values are float64; in a model they are
    float32, standardised by ``mean`` and ``std`` per channel.
    """

    length: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


Spec = ImageSpec | AudioSpec | TextSpec | TabularSpec | SeriesSpec

NO_SPECS: Mapping[str, Spec] = MappingProxyType({})

_KINDS: dict[str, type[Spec]] = {
    "image": ImageSpec,
    "audio": AudioSpec,
    "text": TextSpec,
    "tabular": TabularSpec,
    "series": SeriesSpec,
}


def spec_to_json(spec: Spec) -> dict[str, Any]:
    """Return a JSON-serialisable form of ``spec``, read back by `spec_from_json`."""
    kind = next(name for name, cls in _KINDS.items() if isinstance(spec, cls))
    return {"kind": kind, **asdict(spec)}


def spec_from_json(fields: dict[str, Any]) -> Spec:
    """Return the spec that `spec_to_json` wrote."""
    values = {name: _tuples(value) for name, value in fields.items() if name != "kind"}
    if fields["kind"] == "tabular":
        values["dates"] = tuple(
            DateColumn(date["column"], date["origin"], tuple(date["parts"]))
            for date in fields["dates"]
        )
    return _KINDS[fields["kind"]](**values)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
