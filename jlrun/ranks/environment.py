"""Environment that torchrun gives to each process. Imports no PyTorch."""

from __future__ import annotations

import os


def world_size() -> int:
    """Return the number of processes that were started to train one run; 1 without a launcher."""
    return max(1, _number("WORLD_SIZE", 1))


def rank() -> int:
    """Return the rank of this process, from 0."""
    return _number("RANK", 0) if world_size() > 1 else 0


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else default
