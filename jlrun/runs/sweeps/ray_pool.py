"""Jobs of a sweep as tasks of Ray: on this machine, or on a cluster that is running."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import Any

from jlrun.errors import UserError
from jlrun.extras import import_extra
from jlrun.runs.sweeps.cores import num_cores
from jlrun.runs.sweeps.ended import Ended, SweepJob
from jlrun.runs.sweeps.remote_job import RemoteJob
from jlrun.runs.sweeps.remote_pool import RemotePool, RunningRemotely

_OBJECT_STORE = 100 * 2**20  # bytes; jobs hand over nothing but their order


@dataclass
class Task(RunningRemotely):
    """A task of Ray."""

    reference: Any


class RayPool(RemotePool[Task]):
    """Tasks of Ray, of which as many run at once as it has CPUs and GPUs for.

    A context: within it Ray is there. Arguments as `RemotePool`.
    """

    @cached_property
    def _ray(self) -> Any:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to its makers
        return import_extra("ray", "ray", "sweep.engine")

    def __enter__(self) -> RayPool:
        settings = self._settings
        own = {"num_cpus": num_cores(), "include_dashboard": False}
        own["object_store_memory"] = _OBJECT_STORE
        given = own if settings.address is None else {}
        before = signal.getsignal(signal.SIGTERM)
        try:
            self._ray.init(
                address=settings.address or "local",
                log_to_driver=False,
                logging_level="WARNING",
                **given,
            )
        except (ConnectionError, ValueError, RuntimeError, OSError) as error:
            said = " ".join(str(error).split())
            raise UserError.of("sweep.address", f"there is no Ray: {said}") from error
        if before is not None:
            signal.signal(signal.SIGTERM, before)  # which Ray takes for an exit
        try:
            self._check_room()
        except BaseException:
            self._ray.shutdown()
            raise
        options = {"num_cpus": settings.cpus, "num_gpus": settings.gpus, "max_retries": 0}
        self._call = self._ray.remote(**options)(_run)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ray.shutdown()

    def _check_room(self) -> None:
        """Check that some machine has what a job asks for: else it would wait for ever.

        Raises:
            UserError: if none has.
        """
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        for name, key in (("CPU", "cpus"), ("GPU", "gpus")):
            asked = getattr(self._settings, key)
            most = max((node.get(name, 0.0) for node in nodes), default=0.0)
            if asked > most:
                message = (
                    f"each job asks for {asked:g}, but no machine of Ray has more than {most:g}"
                )
                raise UserError.of(f"sweep.{key}", message)

    def begin(self, job: SweepJob, slot: int) -> Task:
        files = self.files_of(job)
        files.clear()
        return Task(job, slot, files, self._call.remote(self.remote(job)))

    def wait(self, seconds: float) -> None:
        self._ray.wait([task.reference for task in self.running], timeout=seconds)

    def end_of(self, running: Task) -> Ended | None:
        job, files = running.job, running.files
        done, _ = self._ray.wait([running.reference], timeout=0)
        if not done:
            return None
        found = files.end(job)
        if found is not None:
            return found
        if files.is_asked_to_stop():
            return self.interrupted(job)
        return files.lost(job, self._why(running))

    def interrupt(self, running: Task, urgency: int) -> None:
        running.files.ask_to_stop()
        if urgency:
            self._ray.cancel(running.reference, force=True)

    def _why(self, running: Task) -> str:
        try:
            self._ray.get(running.reference)
        except self._ray.exceptions.RayTaskError as error:
            return " ".join(str(error.cause).split()) or type(error.cause).__name__
        except self._ray.exceptions.RayError as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            return f"the process of this job was killed: {lines[0]}"
        return "it left no result"


def _run(job: RemoteJob) -> None:
    """The task: it writes how the job ended."""
    job.run()
