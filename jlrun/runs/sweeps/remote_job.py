"""One job of a sweep where an engine has placed it: another process, often another machine.

There the job gets a process of its own, so that what the engine does to its worker (signals,
reuse) is not done to training, and a kill is told from a failure. The sweep and the job speak
through files in the sweep's folder, which both machines see: ``stop`` asks the job to write a
checkpoint and end, ``end.json`` says how it ended. Nothing that the sweep reads back is code.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import BaseModel

from jlrun.config.trust import VARIABLE
from jlrun.errors import UserError
from jlrun.files.atomic import read_json, write_json, write_text
from jlrun.runs.sweeps.ended import INTERRUPTED, Ended, SweepJob, Watcher, end_of, record_kill
from jlrun.runs.sweeps.pool import POLL_SECONDS
from jlrun.runs.sweeps.process_pool import ProcessPool
from jlrun.runs.sweeps.worker import Order

CHECKPOINT_SECONDS = 60  # for a checkpoint, before the process is killed
FOLDER = "engine"  # in that of the sweep, with a folder for each job


class _End(BaseModel):
    directory: str
    status: str
    seconds: float
    error: str | None


@dataclass(frozen=True)
class JobFiles:
    """Files by which a sweep and a job elsewhere speak.

    Attributes:
        sweep: folder of the sweep.
        number: of the job.
    """

    sweep: Path
    number: int

    @property
    def folder(self) -> Path:
        """Folder of the job's files."""
        return self.sweep / FOLDER / str(self.number)

    @property
    def _end(self) -> Path:
        return self.folder / "end.json"

    @property
    def _stop(self) -> Path:
        return self.folder / "stop"

    def ask_to_stop(self) -> None:
        """Ask the job to write a checkpoint and end."""
        write_text(self._stop, "")

    def is_asked_to_stop(self) -> bool:
        """Return whether `ask_to_stop` was called, in any process."""
        return self._stop.exists()

    def go_on(self) -> None:
        """Take back that the job was asked to stop."""
        self._stop.unlink(missing_ok=True)

    def clear(self) -> None:
        """Delete what an earlier launch left."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def write_end(self, end: Ended) -> None:
        """Write how the job ended."""
        content = {"directory": str(end.directory), "status": end.status}
        write_json(self._end, content | {"seconds": end.seconds, "error": end.error})

    def end(self, job: SweepJob) -> Ended | None:
        """Return how the job ended, by what it wrote; None if it has not."""
        if not self._end.is_file():
            return None
        try:
            found = _End.model_validate(read_json(self._end, _End))
        except UserError as error:
            return end_of(job, self.sweep / str(job.number), str(error))
        directory = Path(found.directory)
        if found.status == INTERRUPTED:
            return Ended(job, directory, INTERRUPTED, found.seconds)
        return replace(end_of(job, directory, found.error), seconds=found.seconds)

    def lost(self, job: SweepJob, error: str) -> Ended:
        """Record that what ran the job is gone, and return that end."""
        directory = self.sweep / str(job.number)
        record_kill(job, directory, error)
        return end_of(job, directory)


@dataclass
class RemoteJob:
    """A job to be called elsewhere, in a folder that both machines see.

    Attributes:
        job: of the sweep.
        order: what its process needs.
        sweep: folder of the sweep.
        preloaded: modules that its process finds imported.
        parent: process without which the job must not go on; None: none.
        trusted: packages that the user trusts, as the environment has them.
    """

    job: SweepJob
    order: Order
    sweep: Path
    preloaded: Sequence[str]
    parent: int | None = None
    trusted: str | None = field(default_factory=lambda: os.environ.get(VARIABLE))

    def run(self) -> str:
        """Run the job to its end, and return its status: interrupted, if a signal stopped it."""
        if self.trusted:
            os.environ[VARIABLE] = self.trusted
        files, ends = JobFiles(self.sweep, self.job.number), _Ends()
        pool = ProcessPool(1, lambda job, slot: self.order, ends, self.sweep, self.preloaded)
        self._pool = pool
        job = replace(self.job, begun=time.monotonic())
        if files.is_asked_to_stop():
            ends.last = Ended(job, self.sweep / str(job.number), INTERRUPTED, 0.0)
        else:
            pool.start(job)
        while ends.last is None:
            pool.collect(POLL_SECONDS)
            if files.is_asked_to_stop() or self._is_orphaned():
                pool.stop(CHECKPOINT_SECONDS)
        if ends.last.status != INTERRUPTED or files.is_asked_to_stop():
            files.write_end(ends.last)
        return ends.last.status

    def stop(self) -> None:
        """Have the job write a checkpoint and end."""
        self._pool.stop(CHECKPOINT_SECONDS)

    def anew(self) -> RemoteJob:
        """Return the same job, not begun."""
        return replace(self)

    def _is_orphaned(self) -> bool:
        if self.parent is not None:
            with suppress(PermissionError):
                try:
                    os.kill(self.parent, 0)
                except ProcessLookupError:
                    return True
        return False


class _Ends(Watcher):
    """Keeps how the only job ended."""

    last: Ended | None = None

    def started(self, job: SweepJob) -> None:
        pass

    def ended(self, end: Ended) -> None:
        self.last = end
