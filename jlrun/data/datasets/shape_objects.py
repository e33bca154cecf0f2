"""Combinations of a colour and a shape, and which of them a model is not to be trained on."""

from __future__ import annotations

import torch

from jlrun.data.datasets.shape_captions import WORDS
from jlrun.errors import UserError, did_you_mean
from jlrun.seeding import derive_seed

OBJECTS = tuple(f"{colour} {shape}" for colour in WORDS["colour"] for shape in WORDS["shape"])


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
