"""Jobs of a sweep as jobs of a SLURM cluster, by submitit; its local executor to try it out.

Shortly before a job's time limit, and when the cluster preempts it, submitit gets a signal: the job
writes a checkpoint, is queued again under the same id, and resumes its run directory.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

from jlrun.errors import UserError
from jlrun.extras import import_extra
from jlrun.files.atomic import read_json, write_json
from jlrun.runs.sweeps.ended import INTERRUPTED, Ended, SweepJob
from jlrun.runs.sweeps.remote_job import JobFiles, RemoteJob
from jlrun.runs.sweeps.remote_pool import RemotePool, RunningRemotely

SIGNAL_SECONDS = 120  # before the time limit; a checkpoint has half of it
GRACE_SECONDS = 30  # in which files of a job that has ended may still arrive from another machine
QUEUE_SECONDS = 10  # between two looks at the cluster's queue


@dataclass
class Submitted(RunningRemotely):
    """A job at the cluster.

    Attributes:
        handle: submitit's job.
        gone_since: when the cluster first said that it had ended.
        cancelled: whether the sweep has given it up.
    """

    handle: Any
    gone_since: float | None = None
    cancelled: bool = False


class SlurmPool(RemotePool[Submitted]):
    """Jobs at a SLURM cluster, at most ``sweep.jobs`` at once; arguments as `RemotePool`."""

    _queue: Mapping[str, str] = MappingProxyType({})
    _queue_at = -float("inf")

    @cached_property
    def _submitit(self) -> Any:
        return import_extra("submitit", "slurm", "sweep.engine")

    def begin(self, job: SweepJob, slot: int) -> Submitted:
        files = self.files_of(job)
        found = self._still_there(files)
        if found is None:
            files.clear()
            found = self._submit(job, files)
        files.go_on()
        return Submitted(job, slot, files, found)

    def end_of(self, running: Submitted) -> Ended | None:
        job, files = running.job, running.files
        found = files.end(job)
        if found is not None and (not self._is_local or running.handle.done()):
            return found  # a process of this machine is waited for, too
        gone = running.cancelled or self._is_gone(running)
        if gone and files.is_asked_to_stop():
            return self.interrupted(job)
        if not gone:
            return None
        running.gone_since = running.gone_since or time.monotonic()
        if not self._is_local and time.monotonic() - running.gone_since < GRACE_SECONDS:
            return None
        return files.end(job) or files.lost(job, self._why(running))

    def interrupt(self, running: Submitted, urgency: int) -> None:
        running.files.ask_to_stop()
        waits = not self._is_local and self._states().get(running.handle.job_id) == "PENDING"
        if urgency or waits:
            running.handle.cancel(check=False)
            running.cancelled = True

    @property
    def _is_local(self) -> bool:
        return self._settings.cluster == "local"

    def _submit(self, job: SweepJob, files: JobFiles) -> Any:
        remote = self.remote(job)
        if self._is_local:
            remote.parent = os.getpid()
        try:
            handle = self._executor(files.folder).submit(Requeued(remote))
        except (self._submitit.core.utils.FailedSubmissionError, OSError, RuntimeError) as error:
            said = " ".join(str(error).split())
            raise UserError.of("sweep.slurm", f"the cluster takes no job: {said}") from error
        write_json(_id_file(files), {"id": str(handle.job_id), "cluster": self._settings.cluster})
        return handle

    def _executor(self, folder: Path) -> Any:
        settings, minutes = self._settings, self._settings.minutes
        limit = {"max_num_timeout": settings.requeues}
        given: dict[str, Any] = {"gpus_per_node": int(settings.gpus), "stderr_to_stdout": True}
        given["signal_delay_s"] = min(SIGNAL_SECONDS, int(minutes * 60 / 2))
        if self._is_local:
            executor = self._submitit.LocalExecutor(folder, **limit)
            executor.update_parameters(timeout_min=minutes, **given)
            return executor
        executor = self._submitit.SlurmExecutor(folder, **limit)
        given |= {"time": ceil(minutes), "cpus_per_task": settings.cpus, "job_name": "jlrun"}
        if settings.memory_gb is not None:
            given["mem"] = f"{ceil(settings.memory_gb * 1024)}MB"
        executor.update_parameters(**given, additional_parameters=dict(settings.slurm))
        return executor

    def _still_there(self, files: JobFiles) -> Any:
        """Return the job of an earlier launch that still waits or runs at the cluster, if any."""
        if self._is_local or not _id_file(files).is_file():
            return None
        try:
            known = _Known.model_validate(read_json(_id_file(files), _Known))
        except UserError:
            return None
        if known.cluster != "slurm" or not re.fullmatch(r"[0-9]+", known.id):
            return None
        handle = self._submitit.SlurmJob(files.folder, known.id)
        return handle if known.id in self._states() else None

    def _is_gone(self, running: Submitted) -> bool:
        """Return whether the cluster has nothing of the job any more."""
        if self._is_local or running.handle.paths.result_pickle.exists():
            return running.handle.done()
        if time.monotonic() - running.job.begun < QUEUE_SECONDS:
            return False
        return running.handle.job_id not in self._states()

    def _states(self) -> Mapping[str, str]:
        """Return id -> state of the user's jobs at the cluster; those known, if it does not say.

        By ``squeue``, which clusters without accounting have, too.
        """
        if time.monotonic() - self._queue_at > QUEUE_SECONDS:
            command = ["squeue", "--noheader", "--format=%i %T", f"--user={os.getuid()}"]
            with suppress(OSError, subprocess.SubprocessError):
                said = subprocess.run(
                    command, capture_output=True, text=True, check=True, timeout=60
                )
                self._queue = dict(line.split(" ", 1) for line in said.stdout.splitlines() if line)
                self._queue_at = time.monotonic()
        return self._queue

    def _why(self, running: Submitted) -> str:
        if self._is_local:
            return f"the process of this job was killed; see {running.files.folder}"
        number, folder = running.handle.job_id, running.files.folder
        return f"job {number} left the cluster's queue without a result; see {folder}"


@dataclass
class Requeued:
    """What submitit calls: the job, and its checkpoint when it has to go."""

    remote: RemoteJob

    def __call__(self) -> None:
        status = self.remote.run()
        files = JobFiles(self.remote.sweep, self.remote.job.number)
        if status == INTERRUPTED and not files.is_asked_to_stop():
            # The cluster's signal reached the job before submitit's did.
            from submitit import JobEnvironment

            signal.raise_signal(getattr(signal, f"SIG{JobEnvironment.USR_SIG}"))

    def checkpoint(self) -> Any:
        """Have the job write a checkpoint; what goes on with it is the job itself."""
        from submitit.helpers import DelayedSubmission

        self.remote.stop()
        return DelayedSubmission(Requeued(self.remote.anew()))


class _Known(BaseModel):
    id: str
    cluster: str


def _id_file(files: JobFiles) -> Path:
    return files.folder / "job.json"
