"""Launch: the ranks that torchrun (or SLURM) has started, by their environment."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from jlrun.errors import Interrupted, RunError, UserError
from jlrun.ranks.environment import world_size
from jlrun.ranks.world import ALONE, World

if TYPE_CHECKING:
    from jlrun.ranks.watch import Watch

LEAVE_SECONDS = 60.0  # that other ranks wait for the last files of rank 0
END_SECONDS = 2.0  # in which the threads of a group end that wait for nobody
_FOREVER = timedelta(days=7)  # hangs are found by the watch
_current = ALONE
_watch: Watch | None = None


def current() -> World:
    """Return the world that this process has joined; `ALONE` outside of `joined`."""
    return _current


@contextmanager
def joined(device: str, timeout: float) -> Iterator[World]:
    """Join the other ranks, if there are any, and leave them at the end.

    Args:
        device: that the run computes on, as in ``engine.device``.
        timeout: seconds for which a collective may wait for a rank.

    Raises:
        RunError: if a rank does not come, fails or is gone.
    """
    if world_size() == 1:
        yield ALONE
        return
    global _current, _watch
    _current, _watch = _join(device, timeout)
    try:
        yield _current
    except Interrupted:
        _watch.leave(LEAVE_SECONDS)
        _end_group()
        raise
    except UserError as error:
        _watch.fail(one_line(error))
        _end_group()
        raise
    except RunError as error:
        _watch.fail(one_line(error))
        _end_group_soon()
        raise
    except Exception as error:  # collectives may be under way
        _watch.fail(one_line(error))
        raise
    except BaseException:  # Ctrl-C once more: the others need not say so
        _watch.fail("stopped at once")
        raise
    else:
        _watch.leave(LEAVE_SECONDS)
        _end_group()
    finally:
        _current, _watch = ALONE, None


@contextmanager
def last_words(write: Callable[[str], None]) -> Iterator[None]:
    """Have ``write`` called with a line, should the watch have to end this process meanwhile."""
    if _watch is None:
        yield
        return
    before, _watch.last_words = _watch.last_words, write
    try:
        yield
    finally:
        if _watch is not None:
            _watch.last_words = before


def one_line(error: BaseException) -> str:
    """Return an error in one line."""
    text = "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
    return text if isinstance(error, (UserError, RunError)) else f"{type(error).__name__}: {text}"


def _join(device: str, timeout: float) -> tuple[World, Watch]:
    import torch
    import torch.distributed as dist

    from jlrun.ranks.group import Ranks
    from jlrun.ranks.meeting import begin_group, store_of_all, watch

    local = int(os.environ.get("LOCAL_RANK", "0"))
    # Of a device that the machine lacks, whoever looks for it says so.
    on_cuda = torch.cuda.is_available() and (device == "auto" or device.startswith("cuda"))
    if on_cuda:
        count = torch.cuda.device_count()
        # SLURM may show each task its own GPU alone.
        local_device = 0 if count == 1 and "SLURM_PROCID" in os.environ else local
        _check_device(device, local_device, count)
        torch.cuda.set_device(local_device)
    store, rank, size = store_of_all(timeout)
    limit = timedelta(seconds=timeout) if on_cuda else _FOREVER
    backend = "nccl" if on_cuda else "gloo"
    begin_group(backend, store, rank, size, limit)
    control = None
    if on_cuda:
        control = dist.new_group(backend="gloo", timeout=_FOREVER)
        assert isinstance(control, dist.ProcessGroup), "all ranks are in it"
    # Collectives of one communicator of NCCL at a time: others might be waited for on the device.
    meanwhile = None if on_cuda else dist.new_group(backend="gloo", timeout=_FOREVER)
    assert meanwhile is None or isinstance(meanwhile, dist.ProcessGroup), "all ranks are in it"
    world = Ranks(rank, size, local, control=control, meanwhile=meanwhile)
    return world, watch(store, rank, size, world.calls, timeout)


def _end_group() -> None:
    """Join the threads of the group, which abort a process that exits with them."""
    import torch.distributed as dist

    dist.destroy_process_group()


def _end_group_soon() -> None:
    """End the group as `_end_group` does, unless its threads wait in a collective for a rank."""
    thread = threading.Thread(target=_end_group, name="jlrun-end-group", daemon=True)
    thread.start()
    thread.join(END_SECONDS)


def _check_device(device: str, local_rank: int, count: int) -> None:
    if ":" in device:
        message = f"'{device}': each rank has a GPU of its own; use engine.device=cuda"
        raise UserError.of("engine.device", message)
    if local_rank >= count:
        fix = f"use --nproc-per-node={count}, or engine.device=cpu"
        message = f"{local_rank + 1} or more ranks are on a machine of {count} GPUs; {fix}"
        raise UserError.of("torchrun", message)
