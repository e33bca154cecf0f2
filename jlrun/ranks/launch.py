"""Launch: the ranks that torchrun (or SLURM) has started, by their environment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from jlrun.ranks.environment import world_size
from jlrun.ranks.world import ALONE, World

_current = ALONE


def current() -> World:
    """Return the world that this process has joined; `ALONE` outside of `joined`."""
    return _current


@contextmanager
def joined(device: str) -> Iterator[World]:
    """Join the other ranks, if there are any, and leave them at the end.

    Args:
        device: that the run computes on, as in ``engine.device``.
    """
    if world_size() == 1:
        yield ALONE
        return
    global _current
    _current = _join(device)
    try:
        yield _current
    finally:
        _current = ALONE
        import torch.distributed as dist

        dist.destroy_process_group()


def _join(device: str) -> World:
    import torch
    import torch.distributed as dist

    from jlrun.ranks.group import Ranks

    local = int(os.environ.get("LOCAL_RANK", "0"))
    on_cuda = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
    if on_cuda:
        torch.cuda.set_device(local)
    dist.init_process_group("nccl" if on_cuda else "gloo")
    control = dist.new_group(backend="gloo") if on_cuda else None
    return Ranks(dist.get_rank(), dist.get_world_size(), local, control=control)
