"""Ctrl-C and SIGTERM as a request to stop after the current step."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Request to stop: true once the user has asked."""

    def __init__(self) -> None:
        self._asked = False

    def __call__(self) -> bool:
        return self._asked

    def ask(self, signum: int, frame: FrameType | None) -> None:
        """Note the first signal; a second one stops at once."""
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True


@contextmanager
def listening() -> Iterator[StopRequest]:
    """Turn SIGINT and SIGTERM into a `StopRequest`, and put the handlers back at the end.

    Only the main thread may set handlers: elsewhere nothing changes.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, request.ask)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
