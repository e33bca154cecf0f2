"""Jobs of a sweep in processes of this machine, forked from a server that has imported PyTorch."""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from jlrun.errors import INTERRUPTED
from jlrun.runs.sweeps import ended
from jlrun.runs.sweeps.ended import Ended, SweepJob, Watcher, end_of, record_kill, result_in
from jlrun.runs.sweeps.pool import Pool, Running
from jlrun.runs.sweeps.worker import Order, work

PRELOADED = ("jlrun.runs.execution", "jlrun.runs.sweeps.worker", "jlrun.runs.sweeps.sweep_job")


@dataclass
class RunningProcess(Running):
    """A job in a process, and what it has sent."""

    process: Any
    receiver: Connection


class ProcessPool(Pool[RunningProcess]):
    """Processes of jobs, at most ``size`` at once.

    Args:
        size: of the pool.
        order: job and slot -> what its process needs.
        watcher: receives beginnings and ends.
        folder: of the sweep.
        preloaded: modules that the processes find imported.
    """

    def __init__(
        self,
        size: int,
        order: Callable[[SweepJob, int], Order],
        watcher: Watcher,
        folder: Path,
        preloaded: Sequence[str] = PRELOADED,
    ) -> None:
        super().__init__(size, watcher)
        self._make_order, self._folder = order, folder
        self._context = mp.get_context("forkserver")
        self._context.set_forkserver_preload(list(preloaded))
        _start_server()

    def begin(self, job: SweepJob, slot: int) -> RunningProcess:
        receiver, sender = self._context.Pipe(duplex=False)
        process = self._context.Process(target=work, args=(self._make_order(job, slot), sender))
        process.start()
        sender.close()
        return RunningProcess(job, slot, process, receiver)

    def wait(self, seconds: float) -> None:
        wait([running.process.sentinel for running in self.running], seconds)

    def end_of(self, running: RunningProcess) -> Ended | None:
        if running.process.is_alive():
            return None
        running.process.join()
        sent, code, job = _received(running.receiver), running.process.exitcode, running.job
        directory = Path(sent[0]) if sent else self._folder / str(job.number)
        if code < 0:
            error = f"the process of this job was killed by {signal.Signals(-code).name}"
            record_kill(job, directory, error)
            return end_of(job, directory)
        if code == INTERRUPTED or (code and _is_interrupted(directory)):
            seconds = time.monotonic() - job.begun
            return Ended(job, directory, ended.INTERRUPTED, seconds)
        default = f"its process ended with code {code}" if code else None
        return end_of(job, directory, sent[1] if len(sent) > 1 else default)

    def interrupt(self, running: RunningProcess, urgency: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(running.process.pid, signal.SIGKILL if urgency == 2 else signal.SIGINT)


def _is_interrupted(directory: Path) -> bool:
    return (result_in(directory) or {}).get("status") == ended.INTERRUPTED


def _start_server() -> None:
    """Start the server that forks the processes, deaf to a SIGTERM that all processes get."""
    resource_tracker.ensure_running()  # else the server starts it, which unblocks the signal
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def _received(receiver: Connection) -> list[str]:
    """Return all that a process has sent."""
    found: list[str] = []
    with receiver, suppress(EOFError, OSError):
        while receiver.poll():
            found.append(receiver.recv())
    return found
