"""Freed memory stays with a process as asked: pages that the system hands out anew, counted."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="the allocator is not glibc's"
)

# What four blocks of so many MiB take that are written and freed, again and again: pages a round.
PROGRAM = """
import ctypes, resource, sys
from jlrun.engine.reused_memory import give_memory_back, keep_freed_memory

size, what = int(sys.argv[1]) * 2**20, sys.argv[2]
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]

def a_round():
    blocks = [libc.malloc(size) for _ in range(4)]
    for block in blocks:
        ctypes.memset(block, 1, size)
    for block in blocks:
        libc.free(block)

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

keep_freed_memory(what)
for _ in range(4):
    a_round()
before = faults()
for _ in range(5):
    a_round()
print((faults() - before) // 5)
give_memory_back()
before = faults()
a_round()
print(faults() - before)
"""


def pages(size: int, what: str, **environment: str) -> tuple[int, int]:
    """Return the pages of a round, and of one after all that is free has been given back."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    command = [sys.executable, "-c", PROGRAM, str(size), what]
    found = subprocess.run(
        command, env={**kept, **environment}, capture_output=True, text=True, check=True
    )
    usual, after = map(int, found.stdout.split())
    return usual, after


@pytest.mark.parametrize(
    ("size", "what", "stays"),
    [
        (8, "none", False),
        (8, "small", True),
        (8, "all", True),
        (40, "small", False),
        (40, "all", True),
    ],
)
def test_freed_blocks_stay_with_the_process(size: int, what: str, stays: bool) -> None:
    all_of_them = 4 * size * 2**20 // os.sysconf("SC_PAGE_SIZE")
    usual, after = pages(size, what)
    assert (usual < all_of_them / 100) == stays
    assert stays or usual > all_of_them / 3
    assert after > all_of_them / 3  # they were given back


def test_what_the_environment_sets_stays() -> None:
    trimmed = pages(8, "small", MALLOC_TRIM_THRESHOLD_="65536")
    assert trimmed[0] > 1000
    mapped = pages(8, "all", GLIBC_TUNABLES="glibc.malloc.mmap_max=65536")
    assert mapped[0] > 1000
