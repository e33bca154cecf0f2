"""Types of single values in a config, which check what they are given."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, Len, Lt
from pydantic import AfterValidator, Discriminator, Tag

from jlrun.config.nodes import START
from jlrun.ranges import Fraction

_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?|mps")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
Mode = Literal["transfer", "multitask", "multimodal"]
Strategy = Literal["finetune", "joint", "adapt", "generalize", "zero_shot"]
Seed = Annotated[int, Ge(0), Lt(2**32)]
# Upper bound, to catch typos.
Epochs = Annotated[int, Ge(1), Le(1_000_000)]


def distinct(names: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return names of which none is there twice."""
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"names '{name}' twice")
    return names


def ascending(rates: tuple[float, ...]) -> tuple[float, ...]:
    """Return rates that are in ascending order."""
    if any(b <= a for a, b in pairwise(rates)):
        raise ValueError("are not rates in ascending order")
    return rates


Names = Annotated[tuple[str, ...], Len(1), AfterValidator(distinct)]


def _device(name: str) -> str:
    if not _DEVICE.fullmatch(name):
        raise ValueError("is not a device: auto, cpu, cuda, cuda:N or mps")
    return name


Device = Annotated[str, AfterValidator(_device)]


def parse_size(size: Any) -> Any:
    """Return the number of bytes that ``4GB``, ``512MB`` or a number means (1 KB is 1024 bytes)."""
    if not isinstance(size, str):
        return size
    match = _SIZE.fullmatch(size.strip())
    if match is None:
        raise ValueError("is not a size: write 4GB, 512MB or a number of bytes")
    return int(float(match[1]) * 1024 ** _POWERS[match[2].upper()])


def _node(node: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(node.get("_target_"), str):
        raise ValueError("has no _target_, the path of what it builds")
    return node


Node = Annotated[dict[str, Any], AfterValidator(_node)]


def _source(node: dict[str, Any]) -> dict[str, Any] | None:
    if all(node.get(key) is None for key in ("_target_", *START)) and not set(node) - {*START}:
        return None  # deleted: replaced by `sources`, or by nothing
    for key in START:
        if not isinstance(node.get(key), str | None):
            raise ValueError(f"{key} is not a path")
    return node if node.get("run") or node.get("weights") else _node(node)


# A data set to be learned from, or weights that were learned elsewhere.
Source = Annotated[
    dict[str, Any] | None, AfterValidator(lambda n: None if n is None else _source(n))
]


def _form(value: Any) -> str:
    return "each" if isinstance(value, dict) else "auto" if value == "auto" else "one"


# One for all, or one for each name; distinguished first, so that a mistake has one message.
Shares = Annotated[
    Annotated[Fraction, Tag("one")]
    | Annotated[dict[str, Fraction], Tag("each")]
    | Annotated[Literal["auto"], Tag("auto")],
    Discriminator(_form),
]
