"""One job of a sweep: train it, resume it, or find that it is complete."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Swept:
    """A job, as Hydra gives it to a process.

    Attributes:
        cfg: its config.
        number: of the job.
        overrides: of its run.
        directory: of its run; ``sweep``: of the sweep.
        chose_batch_size: whether the user chose the batch size.
    """

    cfg: DictConfig
    number: int
    overrides: list[str]
    directory: Path
    sweep: Path
    chose_batch_size: bool

    @classmethod
    def now(cls, cfg: DictConfig) -> Swept:
        """Return the job that Hydra is running."""
        from jlrun.config.options import chose_batch_size

        hydra = HydraConfig.get()
        overrides = job_overrides(OmegaConf.to_container(hydra.overrides.task) or [])
        directory, sweep = Path(str(hydra.runtime.output_dir)), Path(str(hydra.sweep.dir))
        chose = chose_batch_size(overrides, hydra)
        return cls(cfg, hydra.job.num, overrides, directory, sweep, chose)

    @property
    def title(self) -> str:
        """A line for people."""
        return f"job {self.number}: {' '.join(self.overrides)}"

    def checked(self) -> Composed:
        """Return the config of the run.

        Raises:
            UserError: if it is not valid.
        """
        from jlrun.config import check_values
        from jlrun.config.tables import with_tables

        config = plain(self.cfg)
        config.pop("sweep", None)
        if config.get("baselines_cache") is None:
            config["baselines_cache"] = str(RunDirectory(self.sweep).baselines)
        tables = with_tables(config, self.overrides)
        config, problems = tables.config, [*tables.problems, *check_values(tables.config)]
        if problems:
            raise UserError(problems)
        own, of_folds = self.chose_batch_size, tables.of_folds
        return Composed(config, self.overrides, self.directory, tables.lines, own, of_folds)

    def begun(self, composed: Composed) -> bool:
        """Return whether an earlier launch of the sweep began this very job."""
        file = RunDirectory(self.directory).config
        return file.is_file() and file.read_text(encoding="utf-8") == to_yaml(composed.config)

    def completed(self) -> dict[str, Any] | None:
        """Return the result of a run that an earlier launch completed, and say so."""
        from jlrun.reporting.result import read_result

        before = read_result(self.directory)
        if before is None or before["status"] != "completed":
            return None
        print(f"complete already in {self.directory}", flush=True)
        return before

    @contextmanager
    def failures_recorded(self) -> Iterator[None]:
        """Print and record errors, which do not stop other jobs.

        Raises:
            KeyboardInterrupt: if the user stopped the run.
            Held: if another process writes there.
        """
        try:
            yield
        except (Interrupted, KeyboardInterrupt) as error:
            raise KeyboardInterrupt from error
        except Held:
            raise
        except UserError as error:
            _record(self, str(error), rejected=True)
        except Pruned as error:  # its result says so
            print(error, flush=True)
        except RunError as error:
            _record(self, str(error), rejected=False)
        except Exception as error:
            note_log(error, RunDirectory(self.directory).result)
            lines = fault_lines(error)
            _record(self, traceback.format_exc(), rejected=False, lines=lines)


def run_job(cfg: DictConfig) -> float | None:
    """Train one job, or resume it.

    Errors are printed and recorded, and do not stop the other jobs.

    Returns:
        The job's objective, for sweepers that search; None if it failed.
    """
    job = Swept.now(cfg)
    print(f"\n{job.title}", flush=True)
    with job.failures_recorded(), shared_in(RunDirectory(job.sweep).decoded):
        return _objective(job)
    return None


def _objective(job: Swept) -> float | None:
    from jlrun.runs.starting import execute, resume

    composed = job.checked()
    watched_by = _pruning(job.sweep, job.directory)
    if not job.begun(composed):
        return value_of(execute(composed, **watched_by).objective)
    before = job.completed()
    if before is not None:
        return value_of(before["objective"])
    return value_of(resume(job.directory, **watched_by).objective)


def _pruning(sweep: Path, directory: Path) -> dict[str, Any]:
    """Return the argument that has a search watch a run; nothing if it does not."""
    state = read_state(sweep)
    if state is None or state.study is None or state.study["pruner"] == "none":
        return {}
    from jlrun.runs.sweeps.pruning import pruning_of

    return {"watched_by": pruning_of(state.study, int(directory.name))}


def value_of(objective: Mapping[str, Any] | None) -> float | None:
    """Return the value of a result's objective, where there is one."""
    value = None if objective is None else objective["value"]
    return None if value is None else float(value)


def _record(job: Swept, error: str, *, rejected: bool, lines: str = "") -> None:
    """Print an error and write it to ``result.json``, which an early failure leaves unwritten."""
    from jlrun.reporting.result import read_result

    directory, cfg = job.directory, job.cfg
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
        "overrides": job.overrides,
    }
    content |= {"status": "failed", "error": error, REJECTED: rejected}
    with suppress(OSError):  # a full disk, which the error already reports
        write_json(RunDirectory(directory).result, content)
