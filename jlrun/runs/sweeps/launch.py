"""``jlrun --multirun``: run every job of a sweep through Hydra's sweeper and launcher."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import DictConfig

from jlrun.config.compose import (
    COMPOSITION_ERRORS,
    CONFIG_NAME,
    Composed,
    Loader,
    composition_problem,
    hydra_state,
    load,
    make_loader,
)
from jlrun.config.hydra_internals import Hydra
from jlrun.config.parsing import quoted_names
from jlrun.data.reading.decoded import kept_in
from jlrun.errors import DONE, FAILED, INTERRUPTED, WRONG, UserError
from jlrun.files.lock import held
from jlrun.files.names import printable
from jlrun.files.run_directory import RunDirectory
from jlrun.reporting.recorders.header_lines import short_path
from jlrun.runs.sweeps import ended
from jlrun.runs.sweeps.begun import (
    check_same_sweep,
    go_on_command,
    identity_of,
    is_own,
    job_overrides,
    read_state,
    unfinished,
    write_state,
)
from jlrun.runs.sweeps.ended import Ended
from jlrun.runs.sweeps.plugins import register_plugins
from jlrun.runs.sweeps.records import JobRecord, read_jobs
from jlrun.runs.sweeps.searched_scores import check_scored
from jlrun.runs.sweeps.settings import check_engine, settings_of
from jlrun.runs.sweeps.shared_study import load_optuna
from jlrun.runs.sweeps.space import check_grid, check_searched, dimensions
from jlrun.runs.sweeps.sweep_job import run_job
from jlrun.training.interruption import interruptible

JobFunction = Callable[[DictConfig], Any]


def launch(
    overrides: Sequence[str],
    config_dir: str | None = None,
    function: JobFunction = run_job,
    opened: Callable[[Path], object] = lambda directory: None,
) -> int:
    """Run a sweep, or go on with the one that was begun, and print its summary.

    Args:
        overrides: what the user typed.
        config_dir: a further folder of options.
        opened: called with the folder of the sweep before the first job.

    Returns:
        0 if all jobs completed, 2 if what the user gave was wrong in all of them, 130 if
        interrupted, else 1.

    Raises:
        UserError: if a value of the sweep is wrong, or its folder holds another one; no job runs.
    """
    from jlrun.runs.sweeps.values import expand_simplex, settled_values
    from jlrun.runs.sweeps.variants import checked_variants

    overrides = expand_simplex(overrides, config_dir)
    overrides, repeated = settled_values(quoted_names(overrides), config_dir)
    variants = checked_variants(overrides, config_dir)
    with ExitStack() as stack:
        stack.enter_context(hydra_state())
        register_plugins()
        loader = make_loader(config_dir)
        cfg = load(loader, overrides, sweep=True)
        identity = _identity(loader, cfg, overrides, variants)
        directory, line = _directory(cfg, overrides, identity)
        stack.enter_context(held(directory, "hydra.sweep.dir"))
        opened(directory)
        check_same_sweep(directory, overrides, identity)
        print("\n".join([line, *repeated]), flush=True)
        before = read_state(directory)
        again = before is not None and before.identity == identity
        write_state(directory, "running", identity, again=again)
        command = [*overrides, *_fixed(cfg, overrides, directory)]
        try:
            with interruptible(), kept_in(RunDirectory(directory).decoded):
                ends = _run(command, loader, function)
                # It imports PyTorch, which mistakes in the overrides need not wait for.
                from jlrun.runs.sweeps.summary import summarise

                jobs = read_jobs(directory)
                summarise(directory, jobs)
                code = INTERRUPTED if isinstance(ends, KeyboardInterrupt) else _code(jobs, ends)
                write_state(directory, "completed" if code == DONE else "unfinished", identity)
        except KeyboardInterrupt:  # while the summary was made
            code, ends, jobs = INTERRUPTED, None, []
    if code == INTERRUPTED:
        command = go_on_command(overrides, directory)
        print(f"jlrun: sweep interrupted; to go on: {command}", file=sys.stderr)
    else:
        _report_failures(jobs, ends)
    return code


def _identity(
    loader: Loader, cfg: DictConfig, overrides: Sequence[str], variants: Sequence[Composed]
) -> dict[str, Any]:
    """Return the identity of a sweep whose space is as its kind needs it."""
    settings = settings_of(cfg)
    check_engine(settings, overrides)
    if settings.kind == "vectorized":
        for key, value, only in (("jobs", settings.jobs, 1), ("engine", settings.engine, "local")):
            if value != only:
                message = f"{value}: a vectorized sweep is one process here; use sweep.{key}={only}"
                raise UserError.of(f"sweep.{key}", message)
        if any(variant.config.get("debug") == "profile" for variant in variants):
            message = "profile is of one run by itself; leave it out, or use sweep=grid"
            raise UserError.of("debug", message)
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(list(overrides))
    for override in parsed:
        if override.is_sweep_override() and is_own(override.get_key_element()):
            message = "how a sweep runs can't be swept over; give one value"
            raise UserError.of(override.get_key_element(), message)
    if settings.kind in ("grid", "vectorized"):
        check_grid(parsed)
    elif settings.kind == "random":
        dimensions(parsed)
    else:
        check_searched(dimensions(parsed))
        load_optuna()
        check_scored(variants, settings.objectives)
    return identity_of(overrides, settings, variants)


def _directory(
    cfg: DictConfig, overrides: Sequence[str], identity: Mapping[str, Any]
) -> tuple[Path, str]:
    """Return the folder of a sweep: the one asked for, that of an unfinished one, or a new one."""
    asked = Path(str(cfg.hydra.sweep.dir)).expanduser().absolute()
    if any(text.startswith("hydra.sweep.dir=") for text in overrides) or cfg.sweep.new:
        return asked, f"jlrun sweep in {short_path(asked)}"
    before = unfinished(asked.parent, identity)
    if before is None:
        return asked, f"jlrun sweep in {short_path(asked)}"
    return before, f"jlrun sweep goes on in {short_path(before)} (sweep.new=true begins anew)"


def _fixed(cfg: DictConfig, overrides: Sequence[str], directory: Path) -> Iterator[str]:
    """Yield the overrides that the sweep adds to those of the command."""
    if not any(text.startswith("hydra.sweep.dir=") for text in overrides):
        # Resolved once: each worker would resolve the time and the id in its name anew.
        quoted = QuotedString(str(directory), Quote.single)
        yield f"hydra.sweep.dir={quoted.with_quotes()}"
    for plugin in ("sweeper", "launcher"):
        asked = any(text.startswith(f"hydra/{plugin}=") for text in overrides)
        if not asked and cfg.hydra.runtime.choices[f"hydra/{plugin}"] == "basic":
            yield f"hydra/{plugin}=jlrun"


def _run(
    overrides: Sequence[str], loader: Loader, function: JobFunction
) -> list[Ended] | KeyboardInterrupt | None:
    """Run a sweep; return how its jobs ended, where that is known, or that it was interrupted."""
    try:
        return Hydra(CONFIG_NAME, loader).multirun(
            CONFIG_NAME, function, list(overrides), with_log_configuration=False
        )
    except KeyboardInterrupt as interrupt:
        return interrupt
    except COMPOSITION_ERRORS as error:
        if isinstance(error, UserError):
            raise
        raise UserError([composition_problem(error)]) from error


def _code(jobs: Sequence[JobRecord], ends: Sequence[Ended] | None) -> int:
    good = (ended.COMPLETED, ended.PRUNED)
    if any(end.status == ended.INTERRUPTED for end in ends or ()):
        return INTERRUPTED
    if jobs and all(job.status in good for job in jobs):
        return FAILED if any(end.status not in good for end in ends or ()) else DONE
    return WRONG if jobs and all(job.rejected for job in jobs) else FAILED


def _report_failures(jobs: Sequence[JobRecord], ends: object) -> None:
    """Print a line for each job that failed."""
    lines = [
        f"job {job.name} {job.status}: {' '.join(job.overrides)}: {_last_line(job.error)}"
        for job in jobs
        if job.status not in (ended.COMPLETED, ended.PRUNED)
    ]
    known = {job.name for job in jobs}
    lines += [
        f"job {end.job.number} {end.status}: {' '.join(job_overrides(end.job.overrides))}: "
        f"{end.error}"
        for end in (ends if isinstance(ends, list) else [])
        if end.status == ended.FAILED and end.directory.name not in known
    ]
    for line in lines:
        print(printable(f"jlrun: {line}"), file=sys.stderr)


def _last_line(error: str | None) -> str:
    lines = (error or "").strip().splitlines()
    return lines[-1] if lines else "no reason is known"
