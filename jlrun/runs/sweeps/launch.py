"""``jlrun --multirun``: run every combination through Hydra's sweeper and launcher."""

from __future__ import annotations

import shlex
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import DictConfig, OmegaConf

from jlrun.config.compose import (
    COMPOSITION_ERRORS,
    CONFIG_NAME,
    Composed,
    composition_problem,
    hydra_state,
    load,
    make_loader,
    plain,
)
from jlrun.config.hydra_internals import Hydra
from jlrun.config.parsing import quoted_names
from jlrun.errors import DONE, FAILED, INTERRUPTED, WRONG, Interrupted, RunError, UserError
from jlrun.files.atomic import reading, write_json
from jlrun.files.bounded_text import parse_yaml, read_bounded
from jlrun.files.lock import Held, held
from jlrun.files.run_directory import RunDirectory
from jlrun.reporting.recorders.header_lines import short_path
from jlrun.runs.faults import fault_lines, note_log
from jlrun.runs.saved_run import to_yaml
from jlrun.runs.sweeps.records import REJECTED, JobRecord, read_jobs


def launch(
    overrides: Sequence[str],
    config_dir: str | None = None,
    opened: Callable[[Path], object] = lambda directory: None,
) -> int:
    """Run a sweep, or go on with the one that its folder holds, and print its summary.

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
    checked_variants(overrides, config_dir)
    with ExitStack() as stack:
        stack.enter_context(hydra_state())
        loader = make_loader(config_dir)
        hydra = load(loader, overrides, sweep=True).hydra
        directory = Path(str(hydra.sweep.dir)).expanduser().absolute()
        stack.enter_context(held(directory, "hydra.sweep.dir"))
        opened(directory)
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


def run_job(cfg: DictConfig) -> float | None:
    """Train one job, or resume it.

    Errors are printed and recorded, and do not stop the other jobs.

    Returns:
        The job's objective, for sweepers that search; None if it failed.
    """
    hydra = HydraConfig.get()
    overrides = [str(text) for text in OmegaConf.to_container(hydra.overrides.task) or []]
    directory = Path(str(hydra.runtime.output_dir))
    print(f"\njob {hydra.job.num}: {' '.join(overrides)}", flush=True)
    try:
        return _objective(cfg, overrides, directory, Path(str(hydra.sweep.dir)))
    except (Interrupted, KeyboardInterrupt) as error:
        raise KeyboardInterrupt from error
    except Held:
        raise  # another process writes there
    except UserError as error:
        _record(directory, cfg, overrides, str(error), rejected=True)
    except RunError as error:
        _record(directory, cfg, overrides, str(error), rejected=False)
    except Exception as error:
        note_log(error, RunDirectory(directory).result)
        lines = fault_lines(error)
        _record(directory, cfg, overrides, traceback.format_exc(), rejected=False, lines=lines)
    return None


def _objective(cfg: DictConfig, overrides: list[str], directory: Path, sweep: Path) -> float | None:
    from jlrun.config import check_values
    from jlrun.config.options import chose_batch_size
    from jlrun.config.tables import with_tables
    from jlrun.reporting.result import read_result
    from jlrun.runs.starting import execute, resume

    config = plain(cfg)
    if config.get("baselines_cache") is None:
        config["baselines_cache"] = str(RunDirectory(sweep).baselines)
    tables = with_tables(config, overrides)
    config, problems = tables.config, [*tables.problems, *check_values(tables.config)]
    if problems:
        raise UserError(problems)
    if not _begun(directory, config):
        own = chose_batch_size(overrides, HydraConfig.get())
        job = Composed(config, overrides, directory, tables.lines, own_batch_size=own)
        return _value(execute(job).objective)
    before = read_result(directory)
    if before is not None and before["status"] == "completed":
        print(f"complete already in {directory}", flush=True)
        return _value(before["objective"])
    return _value(resume(directory).objective)


def _begun(directory: Path, config: dict[str, Any]) -> bool:
    """Return whether an earlier launch of the sweep began this very job."""
    file = RunDirectory(directory).config
    return file.is_file() and file.read_text(encoding="utf-8") == to_yaml(config)


def _value(objective: Mapping[str, Any] | None) -> float | None:
    value = None if objective is None else objective["value"]
    return None if value is None else float(value)


def _record(
    directory: Path,
    cfg: DictConfig,
    overrides: list[str],
    error: str,
    *,
    rejected: bool,
    lines: str = "",
) -> None:
    """Print an error and write it to ``result.json``, which an early failure leaves unwritten."""
    from jlrun.reporting.result import read_result

    message = lines.removeprefix("jlrun: ") or error
    print(f"jlrun: job in {directory} failed: {message}", file=sys.stderr, flush=True)
    try:
        before = read_result(directory) or {}
    except UserError:
        return  # damaged, as the error says; it is for the user to delete
    if before.get("status") == "completed":
        return  # another run's, which was in the way
    content: dict[str, Any] = dict(before) or {
        "schema": 1,
        "mode": cfg.get("mode"),
        "seed": cfg.get("seed"),
        "overrides": overrides,
    }
    content |= {"status": "failed", "error": error, REJECTED: rejected}
    with suppress(OSError):  # a full disk, which the error already reports
        write_json(RunDirectory(directory).result, content)
