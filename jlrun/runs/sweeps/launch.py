"""``jlrun --multirun``: run every combination through Hydra's sweeper and launcher."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString

from jlrun.config.compose import (
    COMPOSITION_ERRORS,
    CONFIG_NAME,
    composition_problem,
    hydra_state,
    load,
    make_loader,
)
from jlrun.config.hydra_internals import Hydra
from jlrun.config.named_overrides import quoted_names
from jlrun.errors import UserError
from jlrun.files.atomic import reading
from jlrun.files.bounded_text import parse_yaml, read_bounded
from jlrun.files.lock import held
from jlrun.files.run_directory import RunDirectory
from jlrun.reporting.recorders.header_lines import short_path
from jlrun.runs.sweeps.job import run_job
from jlrun.runs.sweeps.records import JobRecord, read_jobs

DONE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130


def launch(overrides: Sequence[str], config_dir: str | None = None) -> int:
    """Run a sweep, or go on with the one that its folder holds, and print its summary.

    Returns:
        0 if all jobs completed, 2 if what the user gave was wrong in all of them, 130 if
        interrupted, else 1.

    Raises:
        UserError: if a value of the sweep is wrong, or its folder holds another one; no job runs.
    """
    from jlrun.runs.sweeps.simplex import expand_simplex
    from jlrun.runs.sweeps.values import settled_values
    from jlrun.runs.sweeps.variants import checked_variants

    overrides = expand_simplex(overrides, config_dir)
    overrides, repeated = settled_values(quoted_names(overrides), config_dir)
    checked_variants(overrides, config_dir)
    with ExitStack() as stack:
        stack.enter_context(hydra_state())
        loader = make_loader(config_dir)
        hydra = load(loader, overrides, sweep=True).hydra
        directory = Path(str(hydra.sweep.dir)).expanduser().absolute()
        stack.enter_context(held(directory, "hydra.sweep.dir"))
        _check_same_sweep(directory, list(hydra.overrides.task))
        print("\n".join([f"jlrun sweep in {short_path(directory)}", *repeated]), flush=True)
        quoted = QuotedString(str(directory), Quote.single)
        # Resolved once: each worker would resolve the time and the id in its name anew.
        fixed = [*overrides, f"hydra.sweep.dir={quoted.with_quotes()}"]
        interrupted = False
        try:
            Hydra(CONFIG_NAME, loader).multirun(
                CONFIG_NAME, run_job, fixed, with_log_configuration=False
            )
        except KeyboardInterrupt:
            interrupted = True
        except COMPOSITION_ERRORS as error:
            if isinstance(error, UserError):
                raise
            raise UserError([composition_problem(error)]) from error
        # It imports PyTorch, which mistakes in the overrides need not wait for.
        from jlrun.runs.sweeps.summary import summarise

        jobs = read_jobs(directory)
        summarise(directory, jobs)
    if interrupted:
        print(
            f"jlrun: sweep interrupted; to go on: {_command(overrides, directory)}", file=sys.stderr
        )
        return INTERRUPTED
    return _exit_code(jobs)


def _check_same_sweep(directory: Path, overrides: Sequence[str]) -> None:
    file = RunDirectory(directory).sweep_config
    if not file.exists():
        return
    before = _overrides_of(file)
    if before != overrides:
        message = (
            f"'{directory}' holds another sweep; choose another folder, or go on with that one: "
            f"{_command(before, directory)}"
        )
        raise UserError.of("hydra.sweep.dir", message)


def _overrides_of(file: Path) -> list[str]:
    """Return what a sweep was begun with, of its ``multirun.yaml``."""
    with reading(file, "choose another folder"):
        found: Any = parse_yaml(read_bounded(file))
        for key in ("hydra", "overrides", "task"):
            found = found[key]
        if not isinstance(found, list):
            raise TypeError("hydra.overrides.task: a list was expected")
        return [str(text) for text in found]


def _command(overrides: Sequence[str], directory: Path) -> str:
    others = [text for text in overrides if not text.startswith("hydra.sweep.dir=")]
    return shlex.join(["jlrun", "--multirun", *others, f"hydra.sweep.dir={directory}"])


def _exit_code(jobs: Sequence[JobRecord]) -> int:
    if jobs and all(job.status == "completed" for job in jobs):
        return DONE
    return WRONG if jobs and all(job.rejected for job in jobs) else FAILED
