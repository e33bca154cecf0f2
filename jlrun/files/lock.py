"""Lock on a folder: one process at a time writes to a run.

The operating system's lock (``flock``, by `filelock`) ends with its process, also when that is
killed, so that nothing remains to clean up. Readers take no lock.
"""

from __future__ import annotations

import json
import os
import shlex
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from jlrun.errors import Problem, UserError
from jlrun.files.places import writable
from jlrun.files.run_directory import RunDirectory


class Held(UserError):
    """Another process writes to the folder."""


@contextmanager
def held(folder: Path, where: str) -> Iterator[None]:
    """Lock a folder, creating it if it does not exist; removed again if it stays empty.

    Args:
        folder: of a run or a sweep.
        where: the option or config path that names it.

    Raises:
        Held: if another process holds it.
        UserError: if it can't be written, also for errors of the file system within the block.
    """
    run = RunDirectory(folder)
    with writable(where, folder):
        made = [path for path in (folder, *folder.parents) if not path.exists()]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with _locked(run.lock, run.lock_holder, where, folder):
                yield
        finally:
            _remove_unused(run, made)


@contextmanager
def held_output(output: Path, where: str) -> Iterator[None]:
    """Lock a file or folder that is written atomically, by a lock file next to it.

    Raises:
        Held: if another process writes it.
        UserError: if it can't be written, also for errors of the file system within the block.
    """
    output = output.resolve()
    lock = output.with_name(f".{output.name}.lock")
    with writable(where, output):
        output.parent.mkdir(parents=True, exist_ok=True)
        holder = lock.with_name(f"{lock.name}.json")
        with _locked(lock, holder, where, output):
            try:
                yield
            finally:
                with suppress(OSError):
                    lock.unlink()


@contextmanager
def _locked(lock: Path, holder: Path, where: str, what: Path) -> Iterator[None]:
    try:
        file_lock = FileLock(lock, timeout=0)
        file_lock.acquire()
    except Timeout:
        message = f"'{what}' is in use by {_holder(holder)}; wait until it ends, or stop it"
        raise Held([Problem(where, message)]) from None
    try:
        with suppress(OSError):  # the note on the holder is optional
            holder.write_text(json.dumps(_ourselves()), encoding="utf-8")
        yield
    finally:
        with suppress(OSError):
            holder.unlink()
        file_lock.release()


def _ourselves() -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now().astimezone().isoformat(" ", "seconds"),
        "command": shlex.join(["jlrun", *sys.argv[1:]]),
    }


def _holder(file: Path) -> str:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return "process {pid} on {host} since {since} ({command})".format(**content)
    except (OSError, ValueError, LookupError, TypeError):
        return "another process"


def in_use(folder: Path) -> bool:
    """Return whether a process writes to the folder, by its note; that of a killed one is void.

    Of another machine nothing is known but the note.
    """
    try:
        note = json.loads(RunDirectory(folder).lock_holder.read_text(encoding="utf-8"))
        if note["host"] != socket.gethostname():
            return True
        os.kill(int(note["pid"]), 0)
    except PermissionError:  # a process of another user
        return True
    except (OSError, ValueError, LookupError, TypeError, OverflowError):
        return False
    return True


def _remove_unused(run: RunDirectory, made: list[Path]) -> None:
    """Remove the folders that were created and stayed empty."""
    if run.path not in made:
        return
    with suppress(OSError):
        if list(run.path.iterdir()) == [run.lock]:
            run.lock.unlink()
        for path in made:
            path.rmdir()
