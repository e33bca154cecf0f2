"""Launcher of a sweep's jobs: one after another in this process, or several in their own ones."""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from jlrun.errors import INTERRUPTED
from jlrun.runs.sweeps import ended
from jlrun.runs.sweeps.ended import (
    Ended,
    JobSource,
    SweepJob,
    Watcher,
    end_of,
    record_kill,
    result_in,
)
from jlrun.runs.sweeps.worker import PRELOADED, Order, run_composed, sweep_config, work

POLL_SECONDS = 0.5  # where there is no job now, but may be later


class JobLauncher(Launcher):
    """Launcher that runs ``sweep.jobs`` jobs at once."""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self._context, self._function, self._config = hydra_context, task_function, config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run jobs, as Hydra's sweepers ask it to."""
        numbered = enumerate(job_overrides, initial_job_idx)
        returns: dict[int, JobReturn] = {}

        class Keep(Watcher):
            def ended(self, end: Ended) -> None:
                objective = None if end.objective is None else float(end.objective["value"])
                found = JobReturn(overrides=end.job.overrides, status=JobStatus.COMPLETED)
                found._return_value = objective
                returns[end.job.number] = found

        self.run((SweepJob(number, tuple(texts)) for number, texts in numbered), Keep())
        return [returns[number] for number in sorted(returns)]

    def run(self, jobs: JobSource, watcher: Watcher) -> None:
        """Run jobs as they come.

        Raises:
            KeyboardInterrupt: if the user stops the sweep; all jobs have stopped, too.
        """
        setup_globals()
        if self._config.sweep.kind == "vectorized":
            from jlrun.runs.sweeps.vectorized import run_as_one

            loader: Any = self._context.config_loader
            run_as_one(loader, self._config, jobs, watcher)
        elif self._config.sweep.jobs == 1:
            self._one_by_one(jobs, watcher)
        else:
            Pool(self._config.sweep.jobs, self._order, watcher, self._folder).run(jobs)

    @property
    def _folder(self) -> Path:
        return Path(str(self._config.hydra.sweep.dir))

    def _one_by_one(self, jobs: JobSource, watcher: Watcher) -> None:
        loader: Any = self._context.config_loader
        for job in _waiting(jobs):
            watcher.started(job)
            config = sweep_config(loader, self._config, job.overrides, job.number)
            directory = Path(str(config.hydra.sweep.dir), str(config.hydra.sweep.subdir))
            run_composed(loader, config, self._function)
            watcher.ended(end_of(job, directory))

    def _order(self, job: SweepJob, slot: int) -> Order:
        loader: Any = self._context.config_loader
        threads = max(1, num_cores() // self._config.sweep.jobs)
        return Order(loader, self._config, self._function, job.overrides, job.number, slot, threads)


def num_cores() -> int:
    """Return how many cores this process may use, by its system or by ``OMP_NUM_THREADS``."""
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(count, int(asked)) if asked.isdigit() and int(asked) else count


def _waiting(jobs: JobSource) -> Iterator[SweepJob]:
    for job in jobs:
        if job is None:
            time.sleep(POLL_SECONDS)
        else:
            yield job


@dataclass
class _Running:
    job: SweepJob
    process: Any
    receiver: Connection
    slot: int


class Pool:
    """Processes of jobs, at most ``size`` at once; the end of one concerns its job alone."""

    def __init__(
        self, size: int, order: Callable[[SweepJob, int], Order], watcher: Watcher, folder: Path
    ) -> None:
        self._size, self._make_order, self._watcher, self._folder = size, order, watcher, folder
        self._context = mp.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOADED)
        _start_server()
        self._running: list[_Running] = []

    def run(self, jobs: JobSource) -> None:
        """Run jobs as they come; see `JobLauncher.run`."""
        try:
            while self._fill(jobs) or self._running:
                self._collect(POLL_SECONDS)
        except BaseException:
            self._stop()
            raise

    def _fill(self, jobs: JobSource) -> bool:
        """Start as many jobs as there is room for; return whether there may be more."""
        while len(self._running) < self._size:
            try:
                job = next(jobs)
            except StopIteration:
                return False
            if job is None:
                return True
            self._start(job)
        return True

    def _start(self, job: SweepJob) -> None:
        taken = {running.slot for running in self._running}
        slot = next(i for i in range(self._size) if i not in taken)
        receiver, sender = self._context.Pipe(duplex=False)
        process = self._context.Process(target=work, args=(self._make_order(job, slot), sender))
        process.start()
        sender.close()
        self._running.append(_Running(job, process, receiver, slot))
        self._watcher.started(job)

    def _collect(self, timeout: float | None) -> None:
        """Wait until some job has ended, and report it."""
        if not self._running:
            time.sleep(timeout or 0)
            return
        wait([running.process.sentinel for running in self._running], timeout)
        for running in [r for r in self._running if not r.process.is_alive()]:
            self._running.remove(running)
            running.process.join()
            self._watcher.ended(self._end(running))

    def _end(self, running: _Running) -> Ended:
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

    def _stop(self) -> None:
        """Have the jobs write a checkpoint and end; at once when asked again."""
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGKILL):
            for running in self._running:
                with suppress(ProcessLookupError):
                    os.kill(running.process.pid, number)
            try:
                while self._running:
                    self._collect(None)
                return
            except KeyboardInterrupt:
                continue


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
