"""Sentences that say what a scene of `jlrun.data.datasets.shapes` shows, in many ways."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from jlrun.data.specs import TextSpec

# The first word or phrase for a class is its name.
WORDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "shape": {
        "circle": ("circle", "disc"),
        "cross": ("cross", "plus"),
        "ring": ("ring", "hoop"),
        "square": ("square", "box"),
        "star": ("star", "pentagram"),
        "triangle": ("triangle", "wedge"),
    },
    "colour": {
        "red": ("red", "crimson"),
        "yellow": ("yellow", "golden"),
        "green": ("green", "emerald"),
        "cyan": ("cyan", "turquoise"),
        "blue": ("blue", "azure"),
        "purple": ("purple", "violet"),
    },
    "size": {
        "small": ("small", "little", "tiny"),
        "medium": ("medium", "average", "moderate"),
        "large": ("large", "big", "huge"),
    },
    "position": {
        "top left": ("top left", "upper left"),
        "top right": ("top right", "upper right"),
        "bottom left": ("bottom left", "lower left"),
        "bottom right": ("bottom right", "lower right"),
        "centre": ("centre", "middle"),
    },
}
_ORDER = ("size", "colour", "shape", "position")
TEMPLATES = (
    "a {size} {colour} {shape} in the {position}",
    "a {colour} {shape} of {size} size in the {position}",
    "in the {position} there is a {size} {colour} {shape}",
    "the {shape} in the {position} is {size} and {colour}",
    "this picture shows a {colour} {shape} that is {size} and in the {position}",
    "{size} {colour} {shape} {position}",
)


def caption(names: Mapping[str, str], draws: Mapping[str, float]) -> str:
    """Return a sentence that says all four attributes.

    Args:
        names: attribute (``shape``, ``colour``, ``size``, ``position``) -> name of its class.
        draws: ``template`` and each attribute -> number in [0, 1) that picks the wording.
    """
    said = {
        attribute: _pick(words[names[attribute]], draws[attribute])
        for attribute, words in WORDS.items()
    }
    sentence = _pick(TEMPLATES, draws["template"]).format(**said)
    return re.sub(r"\ba (?=[aeiou])", "an ", sentence)


def remark(names: Mapping[str, str], draws: Mapping[str, float], told: Collection[str]) -> str:
    """Return the words of some attributes alone: ``tiny star``; ``a picture`` of none.

    Args:
        names, draws: as in `caption`.
        told: the attributes.
    """
    words = [_pick(WORDS[a][names[a]], draws[a]) for a in _ORDER if a in told]
    return " ".join(words) or "a picture"


def _pick(options: tuple[str, ...], draw: float) -> str:
    return options[int(draw * len(options))]


def _text_spec() -> TextSpec:
    phrases = [
        phrase for words in WORDS.values() for options in words.values() for phrase in options
    ]
    longest = {
        attribute: max((option for options in words.values() for option in options), key=_length)
        for attribute, words in WORDS.items()
    }
    fixed = [re.sub(r"{\w+}", "", template) for template in TEMPLATES]
    vocabulary = {word for text in (*phrases, *fixed, "an") for word in text.split()}
    return TextSpec(
        vocabulary=tuple(sorted(vocabulary)),
        length=max(_length(template.format(**longest)) for template in TEMPLATES),
    )


def _length(text: str) -> int:
    return len(text.split())


TEXT_SPEC = _text_spec()
