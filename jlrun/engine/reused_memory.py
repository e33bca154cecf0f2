"""Freed memory of a process that stays with it, so that the next step need not ask for it anew.

A step on a CPU frees its activations and gradients, and the next one needs as much. The allocator
of glibc gives large blocks, and the end of its heap, back to the system as they are freed. Each of
their pages is then handed out again, filled with zeros, when it is next used: a fault for each
4 KiB, which may be a third of the time of a step. mallopt(3) has the switches.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

ReuseMemory = Literal["none", "small", "all"]

# Parameters of mallopt(3), by the names that the environment has for them.
_PARAMETERS = {"trim_threshold": -1, "mmap_threshold": -3, "mmap_max": -4}
SMALL = 32 * 2**20  # bytes of a block, the most that glibc takes for `mmap_threshold`
_NEVER, _BLOCKS = -1, 65_536  # of trimming; glibc's own number of mapped blocks
_SETTINGS: Mapping[ReuseMemory, Mapping[str, int]] = {
    "none": {},
    "small": {"mmap_max": _BLOCKS, "mmap_threshold": SMALL, "trim_threshold": _NEVER},
    "all": {"mmap_max": 0, "trim_threshold": _NEVER},
}


def keep_freed_memory(what: ReuseMemory) -> None:
    """Let freed memory stay with the process; does nothing where the allocator is not glibc's.

    What the environment sets stays as it is (``MALLOC_TRIM_THRESHOLD_`` and the like).

    Args:
        what: ``small``, blocks up to `SMALL` bytes; ``all``, which may need more memory, since the
            gaps between large blocks do not fit all that follow; ``none``, the allocator is left
            as it is: as it was made, or as an earlier call has set it.
    """
    libc = _glibc()
    if libc is None:
        return
    for name, value in _SETTINGS[what].items():
        if not _is_given(name):
            libc.mallopt(_PARAMETERS[name], value)


def give_memory_back() -> None:
    """Give what is free back to the system."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def _is_given(name: str) -> bool:
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    return f"MALLOC_{name.upper()}_" in os.environ or f"glibc.malloc.{name}=" in tunables


@cache
def _glibc() -> Any:
    """Return the C library; None where it is not glibc."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") and hasattr(libc, "mallopt") else None
