"""``jlrun --multirun``: run every combination through Hydra's sweeper and launcher."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from hydra._internal.hydra import Hydra
from hydra.core.override_parser.types import Quote, QuotedString

from jlrun.config.compose import (
    COMPOSITION_ERRORS,
    CONFIG_NAME,
    composition_problem,
    hydra_state,
    load,
    make_loader,
)
from jlrun.errors import UserError
from jlrun.recorders.header_lines import short_path
from jlrun.sweeps.job import run_job
from jlrun.sweeps.records import JobRecord, read_jobs

DONE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130


def launch(overrides: Sequence[str], config_dir: str | None = None) -> int:
    """Run a sweep and print its summary.

    Returns:
        0 if all jobs completed, 2 if what the user gave was wrong in all of them, 130 if
        interrupted, else 1.

    Raises:
        UserError: if a value of the sweep is wrong; no job runs.
    """
    from jlrun.sweeps.simplex import expand_simplex
    from jlrun.sweeps.variants import checked_variants

    overrides = expand_simplex(overrides, config_dir)
    checked_variants(overrides, config_dir)
    with hydra_state():
        loader = make_loader(config_dir)
        directory = Path(str(load(loader, overrides, sweep=True).hydra.sweep.dir))
        directory = directory.expanduser().absolute()
        print(f"jlrun sweep in {short_path(directory)}", flush=True)
        quoted = QuotedString(str(directory), Quote.single)
        # Settled once: each worker would resolve the time and the id in its name anew.
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
    from jlrun.sweeps.summary import summarise

    jobs = read_jobs(directory)
    summarise(directory, jobs)
    if interrupted:
        print("jlrun: sweep interrupted", file=sys.stderr)
        return INTERRUPTED
    return _exit_code(jobs)


def _exit_code(jobs: Sequence[JobRecord]) -> int:
    if jobs and all(job.status == "completed" for job in jobs):
        return DONE
    return WRONG if jobs and all(job.rejected for job in jobs) else FAILED
