"""Ctrl-C and SIGTERM: a request to stop a run after the current step, an end of several runs."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from jlrun.ranks.environment import world_size

SETTLE_SECONDS = 2.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Request to stop: true once the user has asked.

    Args:
        settle: seconds after the first signal in which others are the same request: a launcher
            passes on what a terminal or a scheduler has sent to all processes already.
    """

    def __init__(self, settle: float = 0.0) -> None:
        self._settle = settle
        self._asked_at: float | None = None

    def __call__(self) -> bool:
        return self._asked_at is not None

    def ask(self, signum: int, frame: FrameType | None) -> None:
        """Note the first signal; a later one stops at once."""
        now = time.monotonic()
        if self._asked_at is None:
            self._asked_at = now
        elif now - self._asked_at >= self._settle:
            raise KeyboardInterrupt


@contextmanager
def listening() -> Iterator[StopRequest]:
    """Turn SIGINT and SIGTERM into a `StopRequest`, and put the handlers back at the end.

    Only the main thread may set handlers: elsewhere nothing changes.

    Raises:
        KeyboardInterrupt: if the request came too late to stop the run, which is complete, and the
            run is one of several that are `interruptible`.
    """
    request = StopRequest(SETTLE_SECONDS if world_size() > 1 else 0.0)
    several = signal.getsignal(signal.SIGINT) is _interrupt
    with _handled_by(request.ask):
        yield request
    if request() and several:
        raise KeyboardInterrupt


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise `KeyboardInterrupt` for SIGTERM as for SIGINT, between runs and at the end of one."""
    with _handled_by(_interrupt):
        yield


def _interrupt(signum: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number in before:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
