"""Limits on the memory of decoded files, so that a small file can't fill all of it.

The bound is ``engine.memory_budget``: for each decoded file, and for all large files that threads
decode at the same time. It is global to the process, like PyTorch's number of threads; forked
processes of data loaders inherit it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Condition

from jlrun.errors import UserError

DEFAULT = 4 * 2**30
_ALWAYS = 2**20  # bytes allowed for a file under any budget
_COUNTED = 2**24  # a smaller file does not wait for others

_limit = DEFAULT
_in_use = 0
_changed = Condition()


def bound_files(memory_budget: int) -> None:
    """Set the bound to ``memory_budget`` bytes; 0, which keeps no rows in memory, sets the default.

    A file of at most a megabyte is always allowed.
    """
    global _limit
    _limit = max(memory_budget, _ALWAYS) if memory_budget else DEFAULT


def limit() -> int:
    """Return the bound in bytes."""
    return _limit


def check_room(path: str | Path, num_bytes: int, what: str) -> None:
    """Check that a file fits in the bound.

    Args:
        path: of the file.
        num_bytes: size of its content in memory.
        what: its size in words, for the message.

    Raises:
        UserError: naming the budget, if it does not.
    """
    if num_bytes > _limit:
        raise UserError.of(
            str(path),
            f"{what}: {size_text(num_bytes)} in memory, more than engine.memory_budget="
            f"{size_text(_limit)}; make the file smaller, or raise the budget",
        )


@contextmanager
def room_for(path: str | Path, num_bytes: int, what: str) -> Iterator[None]:
    """Reserve ``num_bytes`` while a file is decoded; a large file waits for room.

    Raises:
        UserError: as `check_room` does.
    """
    global _in_use
    check_room(path, num_bytes, what)
    if num_bytes < _COUNTED:
        yield
        return
    with _changed:
        _changed.wait_for(lambda: not _in_use or _in_use + num_bytes <= _limit)
        _in_use += num_bytes
    try:
        yield
    finally:
        with _changed:
            _in_use -= num_bytes
            _changed.notify_all()


def size_text(num_bytes: int) -> str:
    """Return a number of bytes as a config writes it, such as ``1.5GB``."""
    for unit, size in (("GB", 2**30), ("MB", 2**20), ("KB", 2**10)):
        if num_bytes >= size:
            return f"{num_bytes / size:.3g}{unit}"
    return f"{num_bytes}B"
