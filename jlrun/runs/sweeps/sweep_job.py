"""One job of a sweep: train it, resume it, or find that it is complete."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from jlrun.config.compose import Composed, plain
from jlrun.data.reading.decoded import shared_in
from jlrun.errors import Interrupted, Pruned, RunError, UserError
from jlrun.files.atomic import write_json
from jlrun.files.lock import Held
from jlrun.files.run_directory import RunDirectory
from jlrun.runs.faults import fault_lines, note_log
from jlrun.runs.saved_run import to_yaml
from jlrun.runs.sweeps.begun import job_overrides, read_state
from jlrun.runs.sweeps.records import REJECTED


def run_job(cfg: DictConfig) -> float | None:
    """Train one job, or resume it.

    Errors are printed and recorded, and do not stop the other jobs.

    Returns:
        The job's objective, for sweepers that search; None if it failed.
    """
    hydra = HydraConfig.get()
    overrides = job_overrides(OmegaConf.to_container(hydra.overrides.task) or [])
    directory, sweep = Path(str(hydra.runtime.output_dir)), Path(str(hydra.sweep.dir))
    print(f"\njob {hydra.job.num}: {' '.join(overrides)}", flush=True)
    try:
        with shared_in(RunDirectory(sweep).decoded):
            return _objective(cfg, overrides, directory, sweep)
    except (Interrupted, KeyboardInterrupt) as error:
        raise KeyboardInterrupt from error
    except Held:
        raise  # another process writes there
    except UserError as error:
        _record(directory, cfg, overrides, str(error), rejected=True)
    except Pruned as error:  # its result says so
        print(error, flush=True)
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
    config.pop("sweep", None)
    if config.get("baselines_cache") is None:
        config["baselines_cache"] = str(RunDirectory(sweep).baselines)
    tables = with_tables(config, overrides)
    config, problems = tables.config, [*tables.problems, *check_values(tables.config)]
    if problems:
        raise UserError(problems)
    watched_by = _pruning(sweep, directory)
    if not _begun(directory, config):
        own = chose_batch_size(overrides, HydraConfig.get())
        job = Composed(config, overrides, directory, tables.lines, own, tables.of_folds)
        return _value(execute(job, **watched_by).objective)
    before = read_result(directory)
    if before is not None and before["status"] == "completed":
        print(f"complete already in {directory}", flush=True)
        return _value(before["objective"])
    return _value(resume(directory, **watched_by).objective)


def _pruning(sweep: Path, directory: Path) -> dict[str, Any]:
    """Return the argument that has a search watch a run; nothing if it does not."""
    state = read_state(sweep)
    if state is None or state.study is None or state.study["pruner"] == "none":
        return {}
    from jlrun.runs.sweeps.pruning import pruning_of

    return {"watched_by": pruning_of(state.study, int(directory.name))}


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
