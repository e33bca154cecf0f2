"""Parts of a training loop: the seconds of its parts, measured where someone asks for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from torch.autograd.profiler import record_function

Part = Literal[
    "data", "forward", "backward", "weighting", "optimizer", "recording", "diagnosis",
    "evaluation", "checkpoints",
]  # fmt: skip
Item = TypeVar("Item")


@dataclass
class TimedParts:
    """Seconds of the parts of a loop, and of all of it.

    Attributes:
        synchronize: waits for the device, so that a part has the time of its own kernels.
        seconds: part -> seconds; what is within another part counts there.
        total: seconds of the loop.
        paused: whether nothing is measured at the moment.
    """

    synchronize: Callable[[], None]
    seconds: dict[Part, float] = field(default_factory=dict)
    total: float = 0.0
    paused: bool = False
    _within: bool = field(default=False, repr=False)

    @contextmanager
    def measured(self, part: Part) -> Iterator[None]:
        """Return a context of a part."""
        if self._within:
            yield
            return
        self._within, counts = True, not self.paused
        try:
            with record_function(f"jlrun: {part}"):
                self.synchronize()
                before = time.perf_counter()
                try:
                    yield
                finally:
                    self.synchronize()
                    elapsed = time.perf_counter() - before
                    if counts:
                        self.seconds[part] = self.seconds.get(part, 0.0) + elapsed
        finally:
            self._within = False


_CURRENT: ContextVar[TimedParts | None] = ContextVar("times", default=None)
_NOTHING = nullcontext()


@contextmanager
def timing(times: TimedParts) -> Iterator[None]:
    """Let `timed` measure into ``times``."""
    token = _CURRENT.set(times)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def timed(part: Part) -> AbstractContextManager[None]:
    """Return a context of a part of the loop; it does nothing unless someone measures."""
    times = _CURRENT.get()
    return _NOTHING if times is None else times.measured(part)


def timed_each(part: Part, items: Iterable[Item]) -> Iterator[Item]:
    """Yield the items; the wait for each counts as ``part``."""
    iterator, end = iter(items), object()
    while True:
        with timed(part):
            item = next(iterator, end)
        if item is end:
            return
        yield item  # pyright: ignore[reportReturnType]
