"""Jobs of a sweep that run at once, whatever runs them."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from jlrun.runs.sweeps.ended import Ended, JobSource, SweepJob, Watcher

POLL_SECONDS = 0.5  # where there is no job now, but may be later


@dataclass
class Running:
    """A job that has begun, and the slot that it takes until it ends."""

    job: SweepJob
    slot: int


R = TypeVar("R", bound=Running)


class Pool(ABC, Generic[R]):
    """At most ``size`` jobs at once; the end of one concerns its job alone.

    Subclasses say what runs a job: `begin`, `end_of`, `interrupt`, `wait`.
    """

    def __init__(self, size: int, watcher: Watcher) -> None:
        self._size, self._watcher = size, watcher
        self.running: list[R] = []

    @abstractmethod
    def begin(self, job: SweepJob, slot: int) -> R:
        """Start a job in a free slot, from 0."""

    @abstractmethod
    def end_of(self, running: R) -> Ended | None:
        """Return how a job ended; None while it has not."""

    @abstractmethod
    def interrupt(self, running: R, urgency: int) -> None:
        """Have a job end: 0 and 1, with a checkpoint if it can write one; 2, at once."""

    def wait(self, seconds: float) -> None:
        """Wait until some job may have ended, ``seconds`` at most."""
        time.sleep(seconds)

    def run(self, jobs: JobSource) -> None:
        """Run jobs as they come.

        Raises:
            KeyboardInterrupt: if the user stops the sweep; all jobs have stopped, too.
        """
        try:
            while self._fill(jobs) or self.running:
                self.collect(POLL_SECONDS)
        except BaseException:
            self.stop()
            raise

    def start(self, planned: SweepJob) -> None:
        """Start a job."""
        job = planned.begins()
        taken = {running.slot for running in self.running}
        slot = next(i for i in range(self._size) if i not in taken)
        self.running.append(self.begin(job, slot))
        self._watcher.started(job)

    def collect(self, seconds: float) -> None:
        """Wait for ends, ``seconds`` at most, and report them."""
        if not self.running:
            time.sleep(seconds)
            return
        self.wait(seconds)
        for running in list(self.running):
            end = self.end_of(running)
            if end is not None:
                self.running.remove(running)
                self._watcher.ended(end)

    def stop(self, seconds: float = float("inf")) -> None:
        """Have all jobs write a checkpoint and end; at once when asked again, or after a time."""
        limit = time.monotonic() + seconds
        for urgency in range(3):
            for running in self.running:
                self.interrupt(running, urgency)
            try:
                while self.running and (urgency == 2 or time.monotonic() < limit):
                    self.collect(POLL_SECONDS)
            except KeyboardInterrupt:
                continue

    def _fill(self, jobs: JobSource) -> bool:
        """Start as many jobs as there is room for; return whether there may be more."""
        while len(self.running) < self._size:
            try:
                job = next(jobs)
            except StopIteration:
                return False
            if job is None:
                return True
            self.start(job)
        return True


def waiting(jobs: JobSource) -> Iterator[SweepJob]:
    """Yield jobs as they come, for those who run one after another."""
    for job in jobs:
        if job is None:
            time.sleep(POLL_SECONDS)
        else:
            yield job
