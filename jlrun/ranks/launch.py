"""Launch: the ranks that torchrun (or SLURM) has started, by their environment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from jlrun.errors import UserError
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
    # Of a device that the machine lacks, whoever looks for it says so.
    on_cuda = torch.cuda.is_available() and (device == "auto" or device.startswith("cuda"))
    control = None
    if on_cuda:
        _check_device(device, local, torch.cuda.device_count())
        torch.cuda.set_device(local)
    dist.init_process_group("nccl" if on_cuda else "gloo")
    if on_cuda:
        control = dist.new_group(backend="gloo")
        assert isinstance(control, dist.ProcessGroup), "all ranks are in it"
    return Ranks(dist.get_rank(), dist.get_world_size(), local, control=control)


def _check_device(device: str, local_rank: int, count: int) -> None:
    if ":" in device:
        message = f"'{device}': each rank has a GPU of its own; use engine.device=cuda"
        raise UserError.of("engine.device", message)
    if local_rank >= count:
        fix = f"use --nproc-per-node={count}, or engine.device=cpu"
        message = f"{local_rank + 1} or more ranks are on a machine of {count} GPUs; {fix}"
        raise UserError.of("torchrun", message)
