"""Captions of the scenes of `jlrun.data.datasets.shapes`, and their held-out combinations."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import torch

from jlrun.data.specs import TextSpec
from jlrun.errors import UserError, did_you_mean
from jlrun.seeding import derive_seed

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


OBJECTS = tuple(f"{colour} {shape}" for colour in WORDS["colour"] for shape in WORDS["shape"])


def caption(names: Mapping[str, str], draws: Mapping[str, float]) -> str:
    """Return a sentence that mentions all four attributes.

    Args:
        names: attribute (``shape``, ``colour``, ``size``, ``position``) -> name of its class.
        draws: ``template`` and each attribute -> number in [0, 1) that picks the wording.
    """
    words = {
        attribute: _pick(words[names[attribute]], draws[attribute])
        for attribute, words in WORDS.items()
    }
    sentence = _pick(TEMPLATES, draws["template"]).format(**words)
    return re.sub(r"\ba (?=[aeiou])", "an ", sentence)


def remark(names: Mapping[str, str], draws: Mapping[str, float], mentioned: Collection[str]) -> str:
    """Return the words of some attributes alone: ``tiny star``; ``a picture`` for none.

    Args:
        names, draws: as in `caption`.
        mentioned: the attributes.
    """
    words = [_pick(WORDS[a][names[a]], draws[a]) for a in _ORDER if a in mentioned]
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


def held_out_objects(held_out: list[str] | int, seed: int) -> set[int]:
    """Return indices into `OBJECTS`.

    Args:
        held_out: names, or how many to draw, at most half of them.
        seed: of the draw.

    Raises:
        UserError: for names that are unknown, named twice or leave a colour or shape untrained.
    """
    return _drawn(held_out, seed) if isinstance(held_out, int) else _named(held_out)


def _named(names: list[str]) -> set[int]:
    for name in names:
        if name not in OBJECTS:
            hint = did_you_mean(str(name), OBJECTS)
            raise UserError.of("held_out", f"there is no '{name}'; a colour and a shape.{hint}")
        if names.count(name) > 1:
            raise UserError.of("held_out", f"'{name}' is named twice; name it once")
    left_out = _without_rows(set(names))
    if left_out:
        raise UserError.of(
            "held_out",
            f"no training row would be '{left_out[0]}'; keep one of its combinations",
        )
    return {OBJECTS.index(name) for name in names}


def _drawn(count: int, seed: int) -> set[int]:
    generator = torch.Generator().manual_seed(derive_seed(seed, "shapes", "held out"))
    order = torch.randperm(len(OBJECTS), generator=generator).tolist()
    chosen: set[str] = set()
    # Of 6 colours and 6 shapes, at most 10 combinations are the last of one: 26 can be taken.
    for index in order:
        if len(chosen) < count and not _without_rows({*chosen, OBJECTS[index]}):
            chosen.add(OBJECTS[index])
    assert len(chosen) == count
    return {OBJECTS.index(name) for name in chosen}


def _without_rows(held_out: set[str]) -> list[str]:
    """Return the colours and shapes all of whose combinations are held out."""
    left = {word for name in OBJECTS if name not in held_out for word in name.split()}
    return [word for group in ("colour", "shape") for word in WORDS[group] if word not in left]
