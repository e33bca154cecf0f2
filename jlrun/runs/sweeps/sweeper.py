"""Sweeper: which jobs a sweep has, and the launcher that runs them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, product
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from jlrun.config.sweep_section import SweepSettings
from jlrun.errors import UserError
from jlrun.files.atomic import write_text
from jlrun.files.run_directory import RunDirectory
from jlrun.runs.sweeps.begun import job_overrides, read_state
from jlrun.runs.sweeps.display import SweepDisplay
from jlrun.runs.sweeps.ended import COMPLETED, Ended, SweepJob, Watcher, result_in
from jlrun.runs.sweeps.launcher import JobLauncher
from jlrun.runs.sweeps.settings import settings_of
from jlrun.wording import counted


class JobSweeper(Sweeper):
    """Sweeper over a grid, random draws, or the trials of a search, by ``sweep.kind``."""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what Hydra hands over, and make the launcher."""
        self._context, self._composed = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> list[Ended] | None:
        """Run all jobs.

        Returns:
            how they ended; None with a launcher of Hydra's, which does not say.
        """
        directory = Path(str(self._composed.hydra.sweep.dir))
        directory.mkdir(parents=True, exist_ok=True)
        # Whole or absent: a kill must not leave a sweep whose overrides can't be read.
        write_text(RunDirectory(directory).sweep_config, OmegaConf.to_yaml(self._composed))
        parser = OverridesParser.create(config_loader=self._context.config_loader)
        overrides = parser.parse_overrides(job_overrides(arguments))
        settings = settings_of(self._composed)
        if settings.kind == "optuna":
            from jlrun.runs.sweeps.optuna_search import search

            return search(overrides, settings, directory, self.launcher)
        jobs = list(_jobs(overrides, settings))
        left = [job for job in jobs if not self._is_complete(job, directory)]
        if len(left) < len(jobs):
            print(
                f"complete already: {len(jobs) - len(left)} of {counted(len(jobs), 'job')}",
                flush=True,
            )
        return run_jobs(left, settings, self.launcher)

    def _is_complete(self, job: SweepJob, directory: Path) -> bool:
        """Return whether an earlier launch completed a job, as far as that needs no composing."""
        state = read_state(directory)
        place = self._composed.hydra.sweep._get_node("subdir")._value()
        if state is None or not state.again or place != "${hydra.job.num}":
            return False
        result = result_in(directory / str(job.number)) or {}
        same = result.get("overrides") == job_overrides(job.overrides)
        return same and result.get("status") == COMPLETED


def run_jobs(
    jobs: Sequence[SweepJob], settings: SweepSettings, launcher: Any
) -> list[Ended] | None:
    """Run a list of jobs, by ours or Hydra's launcher.

    Raises:
        UserError: if a vectorized sweep has another launcher than ours.
    """
    if not isinstance(launcher, JobLauncher):
        if settings.kind == "vectorized":
            message = "another launcher starts each job by itself; use sweep=grid with it"
            raise UserError.of("hydra/launcher", message)
        for first, texts in _in_rows(jobs):
            launcher.launch(texts, initial_job_idx=first)
        return None
    together = min(settings.at_once, len(jobs)) if settings.kind == "vectorized" else 1
    display = SweepDisplay(len(jobs), max(settings.jobs, together))
    watchers = Watchers(display)
    try:
        launcher.run(iter(jobs), watchers)
    finally:
        display.close()
    return watchers.ends


def _in_rows(jobs: Sequence[SweepJob]) -> Iterator[tuple[int, list[tuple[str, ...]]]]:
    """Yield rows of jobs with consecutive numbers: the first number, and their overrides."""
    for _, row in groupby(enumerate(jobs), key=lambda pair: pair[1].number - pair[0]):
        found = [job for _, job in row]
        yield found[0].number, [job.overrides for job in found]


class Watchers(Watcher):
    """Pass on what happens to each watcher, and keep the ends."""

    def __init__(self, *parts: Watcher) -> None:
        self._parts = parts
        self.ends: list[Ended] = []

    def started(self, job: SweepJob) -> None:
        for part in self._parts:
            part.started(job)

    def ended(self, end: Ended) -> None:
        self.ends.append(end)
        for part in self._parts:
            part.ended(end)


def _jobs(overrides: Sequence[Override], settings: SweepSettings) -> Iterator[SweepJob]:
    from jlrun.runs.sweeps.space import drawn, values_of

    swept = [o.get_key_element() for o in overrides if o.is_sweep_override()]
    if settings.kind == "random":
        combinations = drawn(overrides, settings.trials, settings.seed)
    else:
        combinations = product(*(values_of(override) for override in overrides))
    for number, texts in enumerate(combinations):
        yield SweepJob(number, tuple(texts), named(texts, swept))


def named(texts: Sequence[str], swept: Sequence[str]) -> str:
    """Return the overrides of a job whose keys are swept over."""
    return " ".join(text for text in texts if text.partition("=")[0] in swept)
