"""What a model needs to know of an input before it sees any: one frozen spec per modality."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class ImageSpec:
    """Images of shape ``(channels, height, width)``, uint8 in memory, normalised floats in a model.

    ``mean`` and ``std`` are per channel, of values in [0, 1].
    """

    channels: int
    height: int
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class AudioSpec:
    """Mono waveforms of shape ``(num_samples,)``, float32 in [-1, 1], at ``sample_rate`` Hz."""

    num_samples: int
    sample_rate: int


@dataclass(frozen=True)
class TextSpec:
    """Token ids of shape ``(length,)``: 0 is padding, 1 an unknown token.

    ``vocabulary[i]`` is the token with id ``i + 2``. ``unit`` says what the tokens of a text are:
    its words in lower case, or its characters as they stand.
    """

    vocabulary: tuple[str, ...]
    length: int
    unit: Literal["word", "character"] = "word"

    @property
    def num_tokens(self) -> int:
        """Number of distinct ids, padding and unknown included."""
        return len(self.vocabulary) + 2


Spec = ImageSpec | AudioSpec | TextSpec

_KINDS: dict[str, type[ImageSpec | AudioSpec | TextSpec]] = {
    "image": ImageSpec,
    "audio": AudioSpec,
    "text": TextSpec,
}


def spec_to_json(spec: Spec) -> dict[str, Any]:
    """Return a JSON-serialisable form of ``spec``, read back by `spec_from_json`."""
    kind = next(name for name, cls in _KINDS.items() if isinstance(spec, cls))
    return {"kind": kind, **asdict(spec)}


def spec_from_json(fields: dict[str, Any]) -> Spec:
    """Return the spec that `spec_to_json` wrote."""
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in fields.items()
        if name != "kind"
    }
    return _KINDS[fields["kind"]](**values)
