"""Three processes of gloo, started once: two or three of them do what one process does."""

from __future__ import annotations

import gc
import os
import pickle
import socket
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from jlrun.ranks.group import Ranks
from jlrun.ranks.world import World

MOST = 3
SIZES = (2, 3)
SECONDS = 120  # until a case counts as one that hangs

Case = Callable[..., Any]


class Processes:
    """Processes that do a case together.

    Args:
        pipes: to each of them, in the order of their ranks.
    """

    def __init__(self, pipes: list[Connection]) -> None:
        self._pipes = pipes

    def run(self, size: int, case: Case, *arguments: Any) -> list[Any]:
        """Return what ``case(world, *arguments)`` returns on each of ``size`` ranks.

        Raises:
            AssertionError: with the traceback of a rank, or if they wait for each other.
        """
        pipes = self._pipes[:size]
        for pipe in pipes:
            pipe.send((size, case, arguments))
        answers: dict[int, Any] = {}
        while len(answers) < size:
            left = [pipe for rank, pipe in enumerate(pipes) if rank not in answers]
            ready = wait(left, SECONDS)
            assert ready, f"ranks {sorted(set(range(size)) - answers.keys())} hang"
            for pipe in ready:
                assert isinstance(pipe, Connection)
                fine, answer = pipe.recv()
                assert fine, answer
                answers[pipes.index(pipe)] = pickle.loads(answer)
        return [answers[rank] for rank in range(size)]


@contextmanager
def started() -> Iterator[Processes]:
    """Return the processes, forked from this one, which has imported all that they need."""
    context, pipes, workers = get_context("fork"), [], []
    with tempfile.TemporaryDirectory() as folder:
        for rank in range(MOST):
            ours, theirs = context.Pipe()
            worker = context.Process(
                target=_serve, args=(rank, Path(folder) / "store", theirs), daemon=True
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # forks of threads
                worker.start()
            theirs.close()
            pipes.append(ours)
            workers.append(worker)
        try:
            yield Processes(pipes)
        finally:
            for worker in workers:
                worker.kill()
                worker.join()


def _serve(rank: int, store: Path, pipe: Connection) -> None:
    gc.freeze()  # what was imported before the fork: no collection walks over it, nor copies it
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=MOST)
    worlds = {size: _world(rank, size) for size in SIZES}
    while True:
        size, case, arguments = pipe.recv()
        world = worlds[size]
        assert world is not None
        try:
            answer = pickle.dumps(case(world, *arguments))
        except BaseException:
            pipe.send((False, f"rank {rank} of {size}:\n{traceback.format_exc()}"))
            os._exit(1)  # the others would wait for it
        pipe.send((True, answer))


def _world(rank: int, size: int) -> World | None:
    groups = [dist.new_group(list(range(size))) for _ in range(2)]
    if rank >= size:
        return None
    group, meanwhile = (g for g in groups if isinstance(g, dist.ProcessGroup))
    return Ranks(rank, size, rank, group, group, meanwhile=meanwhile)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]
