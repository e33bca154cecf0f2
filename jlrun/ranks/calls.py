"""Calls of collectives: which one a rank is in, since when, and the bytes that it gives to each."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class Call:
    """A collective that waits for other ranks.

    Attributes:
        name: of the collective.
        number: of the call, from 1; ranks do the same calls in the same order.
        since: seconds of `time.monotonic`.
        timed: whether ``engine.timeout`` holds for it; not where others wait for what one rank does
            by itself, as long as that takes.
    """

    name: str
    number: int
    since: float
    timed: bool


def _unexplained(error: RuntimeError) -> Exception:
    return error


@dataclass
class Calls:
    """Collectives that this rank has called.

    Attributes:
        current: the call that the rank is in now.
        number: of calls so far.
        payload: collective -> bytes of the tensors that the rank gave; objects are not counted.
        explain: returns what an error within a collective means, such as a rank that is gone.
    """

    current: Call | None = None
    number: int = 0
    payload: Counter[str] = field(default_factory=Counter)
    explain: Callable[[RuntimeError], Exception] = field(default_factory=lambda: _unexplained)

    @contextmanager
    def begin(self, name: str, given: Tensor) -> Iterator[None]:
        """Begin a collective within the block; `call` is for the wait, which has a number.

        Args:
            name: of the collective.
            given: the tensor that the rank gives.

        Raises:
            RunError: if it fails, and it is known why.
        """
        self.payload[name] += given.numel() * given.element_size()
        with self._explained():
            yield

    @contextmanager
    def call(self, name: str, given: Tensor | None = None, timed: bool = True) -> Iterator[None]:
        """Do a collective within the block.

        Args:
            name: of the collective.
            given: the tensor that the rank gives, if any.
            timed: as `Call`.

        Raises:
            RunError: if it fails, and it is known why.
        """
        self.number += 1
        self.payload[name] += 0 if given is None else given.numel() * given.element_size()
        self.current = Call(name, self.number, time.monotonic(), timed)
        try:
            with self._explained():
                yield
        finally:
            self.current = None

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            explained = self.explain(error)
            if explained is error:
                raise
            raise explained from error


def sent(payload: Counter[str], size: int) -> float:
    """Return the bytes that each of ``size`` ranks sends for a payload, by rings.

    An all-reduce of n bytes is a scatter and a gather: each rank sends 2 (W - 1) / W n. To gather
    n bytes of each, a rank passes on W - 1 pieces.
    """
    reduced, gathered = payload["all_reduce"], payload["all_gather"]
    return 2 * (size - 1) / size * reduced + (size - 1) * gathered
