"""Restarts: ranks that a launcher starts once more go on with the run that they had begun.

torchrun starts the same command again (``--max-restarts``), and so does SLURM when it queues a job
again. The folder of a run has the time in its name by default, so rank 0 notes it in a file beside
it, which is named by the launch and lies there until the run is complete.
"""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from jlrun.config.compose import Composed
from jlrun.errors import UserError
from jlrun.files.atomic import write_text
from jlrun.files.bounded_text import parse_yaml, read_bounded
from jlrun.files.run_directory import RunDirectory
from jlrun.ranks.environment import restarted
from jlrun.ranks.launch import current
from jlrun.reporting.result import Status, read_result
from jlrun.runs import starting
from jlrun.runs.saved_run import load_any_config, to_yaml


def execute(composed: Composed) -> Status:
    """Train the experiment of a config, or go on with it after a restart; return its status.

    Raises:
        UserError, RunError, Interrupted: as `jlrun.runs.execution.execute`.
    """
    world, launch = current(), launch_name(os.environ)
    if not world.several or launch is None:
        return starting.execute(composed).status
    # The folder's name has the time in it.
    folder = world.of_first(lambda: composed.run_dir)
    note = folder.parent / f".launch-{launch}"
    begun = world.of_first(lambda: _begun(composed, note))
    if begun is not None:
        status = resume(begun)
    else:
        world.of_first(lambda: _write_note(note, folder))
        status = starting.execute(replace(composed, run_dir=folder)).status
    world.of_first(lambda: note.unlink(missing_ok=True))
    return status


def resume(directory: Path, epochs: int | None = None) -> Status:
    """Go on with a run; after a restart also with one that is complete, which is then left alone.

    A rank that ended well is started again, too, when another one fails.

    Raises:
        UserError, RunError, Interrupted: as `jlrun.runs.execution.resume`.
    """
    world = current()
    if world.several and restarted():
        if epochs is not None:  # it was made longer before the restart, or is as it was
            epochs = world.of_first(partial(_left, directory, epochs))
        if epochs is None and world.of_first(lambda: _is_complete(directory)):
            if world.is_first:
                print(f"this run is complete: {directory}")
            return "completed"
    status = starting.resume(directory, epochs, shown=True).status
    world.of_first(lambda: forget(directory))
    return status


def forget(directory: Path) -> None:
    """Delete the notes beside a run that is complete which name it: nothing is left to go on with.

    `execute` deletes its own; a run that was interrupted may be completed by ``jlrun resume``.
    """
    folder = directory.resolve()
    for note in folder.parent.glob(".launch-*"):
        with suppress(OSError, UnicodeDecodeError, UserError):  # a note of nobody is left alone
            if read_bounded(note).strip() == folder.name:
                note.unlink()


def launch_name(environ: Mapping[str, str]) -> str | None:
    """Return a name for the launch of these ranks, the same after a restart; None without one.

    Args:
        environ: the environment. A job of SLURM keeps its number, and its steps theirs; torchrun
            its ``--rdzv-id``, if it has one, and else the address where the ranks meet.
    """
    if "SLURM_JOB_ID" in environ:
        names = ["SLURM_JOB_ID", "SLURM_STEP_ID"]
    elif "TORCHELASTIC_RUN_ID" in environ:
        names = ["TORCHELASTIC_RUN_ID", "MASTER_ADDR"]
        if environ["TORCHELASTIC_RUN_ID"] == "none":
            names += ["MASTER_PORT"]
    else:
        return None
    parts = [environ.get(name, "") for name in names]
    if environ.get("MASTER_ADDR") in ("localhost", "127.0.0.1"):
        parts.append(socket.gethostname())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _begun(composed: Composed, note: Path) -> Path | None:
    """Return the folder of the run that these ranks had begun; None if they had not, or not yet.

    Raises:
        UserError: if it is another run.
    """
    if not restarted():
        return None
    folder = composed.run_dir
    if note.is_file():
        folder = note.parent / read_bounded(note).strip()
    config = RunDirectory(folder).config
    if not config.exists():
        return None
    if parse_yaml(read_bounded(config)) != parse_yaml(to_yaml(composed.config)):
        message = f"'{folder}' holds another run than the one to go on with after a restart"
        raise UserError.of("hydra.run.dir", message)
    return folder


def _write_note(note: Path, folder: Path) -> None:
    note.parent.mkdir(parents=True, exist_ok=True)
    write_text(note, f"{folder.name}\n")


def _is_complete(directory: Path) -> bool:
    result = read_result(directory)
    return result is not None and result["status"] == "completed"


def _left(directory: Path, epochs: int) -> int | None:
    """Return the epochs to ask for; None if the run has them already."""
    return None if load_any_config(directory)[0]["epochs"] == epochs else epochs
