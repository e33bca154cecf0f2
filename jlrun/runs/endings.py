"""Ends of a run: whatever happens, its result is written, and one line states what to do."""

from __future__ import annotations

import shlex
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from jlrun.errors import Interrupted, Pruned, RunError, UserError, shortened
from jlrun.files.places import FULL, Reserve, described, is_of_disk
from jlrun.reporting.result import Result, Status
from jlrun.runs.faults import note_log
from jlrun.runs.job import Job
from jlrun.training.recorder import Recorder


@contextmanager
def recorded_end(job: Job, recorder: Recorder) -> Iterator[None]:
    """Write the result of a run that does not come to its end, and close the recorder.

    Disk space is kept in reserve for it.

    Raises:
        Interrupted: for an interruption, with the command that goes on.
        RunError: if a disk is full or broken, or PyTorch's compiler fails.
        Exception: whatever else happened, as it was.
    """
    reserve = Reserve(job.directory)
    reserve.take()
    try:
        yield
    # A KeyboardInterrupt is the second Ctrl-C, which does not wait for a checkpoint.
    except (Interrupted, KeyboardInterrupt) as error:
        _end(job, recorder, "interrupted", None)
        raise Interrupted(f"interrupted; to go on: {_resume(job.directory)}") from error
    except Pruned as error:
        _end(job, recorder, "failed", str(error), {"pruned": True})
        raise
    except (UserError, RunError) as error:
        _end(job, recorder, "failed", str(error))
        raise
    except OSError as error:
        reserve.free()
        if not is_of_disk(error):
            _end(job, recorder, "failed", traceback.format_exc())
            raise
        message = _disk_message(error, job.directory)
        _end(job, recorder, "failed", message)
        raise RunError(message) from error
    except Exception as error:
        _end(job, recorder, "failed", traceback.format_exc())
        if _is_of_compiler(error):
            raise RunError(_compiler_message(error, job.directory)) from error
        note_log(error, job.files.log)
        raise
    finally:
        reserve.free()
        recorder.close()


def unfinished(
    job: Job, status: Status, error: str | None, extra: Mapping[str, Any] | None = None
) -> Result:
    """Return the result of a run that has not come to its end."""
    return Result(
        directory=job.directory,
        status=status,
        mode=job.settings.strategy.mode,
        seed=job.settings.seed,
        overrides=job.overrides,
        error=error,
        extra=extra or {},
    )


def _end(
    job: Job,
    recorder: Recorder,
    status: Status,
    error: str | None,
    extra: Mapping[str, Any] | None = None,
) -> None:
    result = unfinished(job, status, error, extra)
    with suppress(OSError):  # on a full disk there may be no room for it
        result.save()
    with suppress(OSError):
        recorder.finish(result.to_json())


def _disk_message(error: OSError, directory: Path) -> str:
    fix = "free some space" if error.errno in FULL else "repair it"
    go_on = f"go on from the last checkpoint: {_resume(directory)}"
    return f"{described(error, directory)}; {fix}, then {go_on}"


def _is_of_compiler(error: Exception) -> bool:
    """Return whether PyTorch's compiler raised an error; does not import it."""
    modules = [kind.__module__ for kind in type(error).__mro__]
    return any(name.startswith(("torch._dynamo", "torch._inductor")) for name in modules)


def _compiler_message(error: Exception, directory: Path) -> str:
    """Return one line; a compiler killed at work may leave files that fail each later run."""
    from torch._inductor.runtime.cache_dir_utils import cache_dir

    lines = str(error).strip().splitlines()
    what = shortened(lines[0][:300]) if lines else type(error).__name__
    folder = shlex.quote(str(cache_dir()))
    return (
        f"PyTorch could not compile the model ({what}); run without it (engine.compile=false), or "
        f"delete its cache, which a killed process may have left broken (rm -r {folder}), then go "
        f"on: {_resume(directory)}"
    )


def _resume(directory: Path) -> str:
    return f"jlrun resume {shlex.quote(str(directory))}"
