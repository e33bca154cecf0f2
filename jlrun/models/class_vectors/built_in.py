"""Class vectors that need no file."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch

from jlrun.errors import UserError
from jlrun.models.class_vectors.files import Table

# Which of the segments a (top) to g (middle), clockwise and then inwards, a display lights up.
SEGMENTS = {
    "0": "abcdef",
    "1": "bc",
    "2": "abdeg",
    "3": "abcdg",
    "4": "bcfg",
    "5": "acdfg",
    "6": "acdefg",
    "7": "abc",
    "8": "abcdefg",
    "9": "abcdfg",
}
_WORD = re.compile(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+(?![^\W\d_A-Z])|\d+")


def seven_segment(classes: Sequence[str], where: str) -> Table:
    """Return 0 or 1 for each of the seven segments by which a display shows the digits 0 to 9."""
    rows = [[float(segment in lit) for segment in "abcdefg"] for lit in SEGMENTS.values()]
    names = tuple(f"segment {segment}" for segment in "abcdefg")
    return Table(tuple(SEGMENTS), names, torch.tensor(rows, dtype=torch.float64))


def words(classes: Sequence[str], where: str) -> Table:
    """Return 0 or 1 for each word: whether the name of the class has it.

    Words are split at spaces, underscores, digits and inner capitals; their case does not count.
    A word that all names have is left out.

    Raises:
        UserError: if all names have the same words.
    """
    bags = [{word.lower() for word in _WORD.findall(name)} for name in classes]
    everywhere = set.intersection(*bags) if bags else set()
    known = dict.fromkeys(w for name in classes for w in map(str.lower, _WORD.findall(name)))
    vocabulary = tuple(word for word in known if word not in everywhere)
    if not vocabulary:
        raise UserError.of(
            where, "the names of the classes have the same words; use a file instead"
        )
    rows = [[float(word in bag) for word in vocabulary] for bag in bags]
    return Table(tuple(classes), vocabulary, torch.tensor(rows, dtype=torch.float64))
