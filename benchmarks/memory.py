"""Peak memory of some work, in a process of its own that is forked for it."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Peak:
    """Resident memory of a process.

    Attributes:
        total: bytes at its peak, with the program and its libraries.
        added: bytes of it that were not there before the work.
    """

    total: int
    added: int


def peak_of(work: Callable[[], object]) -> Peak:
    """Return the peak of the memory while ``work`` is done; Linux only.

    Raises:
        RuntimeError: if the work failed; its traceback has been printed.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            torch.set_num_threads(1)  # threads are not forked
            before = resident("VmRSS")
            Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets the high-water mark
            work()
            peak = resident("VmHWM")
            os.write(writer, f"{peak} {peak - before}".encode())
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        told = file.read()
    os.waitpid(child, 0)
    if not told:
        raise RuntimeError("the work of which memory is measured has failed")
    return Peak(*map(int, told.split()))


def resident(field: str) -> int:
    """Return bytes of a field of `/proc/self/status`: ``VmRSS`` now, ``VmHWM`` at the peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))
