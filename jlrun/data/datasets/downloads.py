"""Downloads by other libraries: without their noise, and never waiting for a network for long."""

from __future__ import annotations

import contextlib
import io
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path

TIMEOUT_SECONDS = 10.0


@contextlib.contextmanager
def quiet_download(timeout_seconds: float = TIMEOUT_SECONDS) -> Iterator[None]:
    """Give up a connection that is silent for ``timeout_seconds``; swallow what is printed."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(timeout_seconds)
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        socket.setdefaulttimeout(before)


@contextlib.contextmanager
def no_empty_folders_left(folder: Path) -> Iterator[None]:
    """If the block fails, remove ``folder`` and those above it that it created but left empty."""
    created = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        yield
    except BaseException:
        for path in created:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


def reason(error: BaseException) -> str:
    """Return what went wrong in one line: the last one of the message, where there are several."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    last = lines[-1] if lines else type(error).__name__
    return last.removeprefix("<urlopen error ").removesuffix(">")
