"""Randomness as a function of names: the same seed and place give the same numbers, always.

Nothing random is carried from one step to the next: the generators are seeded afresh from
``(seed, phase, step)`` before every step. A resumed run therefore needs no generator state.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from types import FunctionType

import numpy as np
import torch
from torch import nn

# Packages whose code draws from PyTorch's generators, or from ones of its own, and from no others.
_OWN_CODE = frozenset({"jlrun", "torch", "torchvision", "builtins", "collections", "functools"})


def derive_seed(*parts: int | str) -> int:
    """Return a 63-bit seed that depends on every part and its position."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def seed_everything(*parts: int | str) -> None:
    """Seed the global generators of Python, NumPy and PyTorch (all devices)."""
    seed = derive_seed(*parts)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  (third-party code draws from the global one)
    _seed_torch(seed)


def seed_torch(*parts: int | str) -> None:
    """Seed PyTorch's global generators alone, as `seed_everything` does."""
    _seed_torch(derive_seed(*parts))


def _seed_torch(seed: int) -> None:
    if _has_accelerator():
        torch.manual_seed(seed)
    else:  # that would note a stack trace for each kind of device that is not there: 0.4 ms
        torch.default_generator.manual_seed(seed)


@cache
def _has_accelerator() -> bool:
    return torch.accelerator.is_available()


def has_code_of_others(things: Iterable[object]) -> bool:
    """Return whether things, or what they hold, are of other packages than jlrun and PyTorch.

    These may draw from the global generators of Python and NumPy; jlrun and PyTorch do not.

    Args:
        things: modules, whose submodules count, and other objects.
    """
    parts = [part for x in things for part in (x.modules() if isinstance(x, nn.Module) else (x,))]
    return any(
        _of_others(part) or any(map(_of_others, _values(getattr(part, "__dict__", {}))))
        for part in parts
    )


def _values(held: object) -> Iterator[object]:
    """Yield what nested collections hold."""
    if isinstance(held, Mapping):
        held = list(held.values())
    if isinstance(held, list | tuple | set | frozenset):
        for value in held:
            yield from _values(value)
    else:
        yield held


def _of_others(thing: object) -> bool:
    kind = thing if isinstance(thing, type | FunctionType) else type(thing)
    if isinstance(thing, partial):
        return _of_others(thing.func)
    return str(kind.__module__).partition(".")[0] not in _OWN_CODE


@contextmanager
def preserved_randomness() -> Iterator[None]:
    """Give the caller's global generators back as they were."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002
