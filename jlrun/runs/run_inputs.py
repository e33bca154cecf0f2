"""Run directory before training: a new run's inputs, and those of a longer one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from jlrun.config.compose import Composed
from jlrun.engine import session_of
from jlrun.errors import UserError
from jlrun.files.atomic import write_text
from jlrun.files.run_directory import RunDirectory
from jlrun.runs.assembly import assemble
from jlrun.runs.endings import unfinished
from jlrun.runs.job import Job
from jlrun.runs.longer import check_longer, forget_ends, lengthened
from jlrun.runs.saved_run import to_yaml
from jlrun.runs.settings import RunSettings


def new_job(composed: Composed) -> tuple[Job, Callable[[], None]]:
    """Return a run to be done, and what writes its inputs.

    Raises:
        UserError: if its directory holds a run already.
    """
    directory = composed.run_dir
    run = RunDirectory(directory)
    if run.config.exists():
        raise UserError.of(
            "hydra.run.dir",
            f"'{directory}' holds a run already; continue it with `jlrun resume {directory}`, or "
            "choose another folder",
        )
    job = Job(
        RunSettings.parse(composed.config),
        directory,
        tuple(composed.overrides),
        inferred=composed.inferred,
        own_batch_size=composed.own_batch_size,
    )

    def write_inputs() -> None:
        directory.mkdir(parents=True, exist_ok=True)
        write_text(run.overrides, to_yaml(list(composed.overrides)))
        # Last, since it is what makes the directory a run.
        write_text(run.config, to_yaml(composed.config))

    return job, write_inputs


def longer_job(job: Job, epochs: int) -> tuple[Job, Callable[[], None]]:
    """Return a run with more epochs, as if it had been begun with that many."""
    longer, config, notes = lengthened(job, epochs)
    engine = job.settings.engine
    with session_of(engine):
        fits = check_longer(job, assemble(job.settings).plan, assemble(longer.settings).plan)

    def write_inputs() -> None:
        # Should a kill come, the run is not complete.
        unfinished(longer, "interrupted", None).save()
        forget_ends(longer, fits)
        write_text(job.files.overrides, to_yaml(list(longer.overrides)))
        write_text(job.files.config, to_yaml(config))

    return replace(longer, inferred=notes), write_inputs
