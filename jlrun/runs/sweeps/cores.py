"""Cores that this process may use."""

from __future__ import annotations

import os


def num_cores() -> int:
    """Return how many cores this process may use, by its system or by ``OMP_NUM_THREADS``."""
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(count, int(asked)) if asked.isdigit() and int(asked) else count
