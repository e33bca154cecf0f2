"""Jobs of a sweep that an engine runs in processes elsewhere, as `RemoteJob` is run there."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from jlrun.config.sweep_section import SweepSettings
from jlrun.runs.sweeps.ended import INTERRUPTED, Ended, SweepJob, Watcher
from jlrun.runs.sweeps.pool import Pool, Running
from jlrun.runs.sweeps.remote_job import JobFiles, RemoteJob
from jlrun.runs.sweeps.worker import Order


@dataclass
class RunningRemotely(Running):
    """A job elsewhere, and the files by which it speaks."""

    files: JobFiles


R = TypeVar("R", bound=RunningRemotely)


class RemotePool(Pool[R]):
    """Jobs at an engine, at most ``sweep.jobs`` at once.

    Args:
        settings: of the sweep.
        order: makes what a process needs to run a job in a slot.
        watcher: receives beginnings and ends.
        folder: of the sweep.
        preloaded: modules that the processes find imported.
    """

    def __init__(
        self,
        settings: SweepSettings,
        order: Callable[[SweepJob, int], Order],
        watcher: Watcher,
        folder: Path,
        preloaded: Sequence[str],
    ) -> None:
        super().__init__(settings.jobs, watcher)
        self._settings, self._make_order = settings, order
        self._folder, self._preloaded = folder, preloaded

    def files_of(self, job: SweepJob) -> JobFiles:
        """Return the files by which the sweep and a job speak."""
        return JobFiles(self._folder, job.number)

    def remote(self, job: SweepJob) -> RemoteJob:
        """Return what the engine is to run for a job."""
        return RemoteJob(job, self._make_order(job, 0), self._folder, self._preloaded)

    def interrupted(self, job: SweepJob) -> Ended:
        """Return the end of a job that stopped since the sweep asked it to."""
        seconds = time.monotonic() - job.begun
        return Ended(job, self._folder / str(job.number), INTERRUPTED, seconds)
