"""Launcher of a sweep's jobs: in this process, several in their own ones, or on a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from jlrun.runs.sweeps.cores import num_cores
from jlrun.runs.sweeps.ended import Ended, JobSource, SweepJob, Watcher, end_of
from jlrun.runs.sweeps.pool import waiting
from jlrun.runs.sweeps.process_pool import PRELOADED, ProcessPool
from jlrun.runs.sweeps.settings import settings_of
from jlrun.runs.sweeps.worker import Order, run_composed, sweep_config


class JobLauncher(Launcher):
    """Launcher that runs ``sweep.jobs`` jobs at once, by ``sweep.engine``."""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self._context, self._function, self._config = hydra_context, task_function, config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run jobs, as Hydra's sweepers ask it to."""
        numbered = enumerate(job_overrides, initial_job_idx)
        returns: dict[int, JobReturn] = {}

        class Keep(Watcher):
            def ended(self, end: Ended) -> None:
                objective = None if end.objective is None else float(end.objective["value"])
                found = JobReturn(overrides=end.job.overrides, status=JobStatus.COMPLETED)
                found._return_value = objective
                returns[end.job.number] = found

        self.run((SweepJob(number, tuple(texts)) for number, texts in numbered), Keep())
        return [returns[number] for number in sorted(returns)]

    def run(self, jobs: JobSource, watcher: Watcher) -> None:
        """Run jobs as they come.

        Raises:
            KeyboardInterrupt: if the user stops the sweep; all jobs have stopped, too.
        """
        setup_globals()
        settings = settings_of(self._config)
        if settings.kind == "vectorized":
            from jlrun.runs.sweeps.vectorized import run_as_one

            loader: Any = self._context.config_loader
            run_as_one(loader, self._config, jobs, watcher)
            return
        match settings.engine:
            case "slurm":
                from jlrun.runs.sweeps.slurm_pool import SlurmPool

                SlurmPool(settings, self._order, watcher, self._folder, PRELOADED).run(jobs)
            case "ray":
                from jlrun.runs.sweeps.ray_pool import RayPool

                with RayPool(settings, self._order, watcher, self._folder, PRELOADED) as pool:
                    pool.run(jobs)
            case "local" if settings.jobs == 1:
                self._one_by_one(jobs, watcher)
            case "local":
                ProcessPool(
                    settings.jobs, self._order, watcher, self._folder, preloaded=PRELOADED
                ).run(jobs)

    @property
    def _folder(self) -> Path:
        return Path(str(self._config.hydra.sweep.dir))

    def _one_by_one(self, jobs: JobSource, watcher: Watcher) -> None:
        loader: Any = self._context.config_loader
        for planned in waiting(jobs):
            job = planned.begins()
            watcher.started(job)
            config = sweep_config(loader, self._config, job.overrides, job.number)
            directory = Path(str(config.hydra.sweep.dir), str(config.hydra.sweep.subdir))
            run_composed(loader, config, self._function)
            watcher.ended(end_of(job, directory))

    def _order(self, job: SweepJob, slot: int) -> Order:
        loader: Any = self._context.config_loader
        local = self._config.sweep.engine == "local"
        share = num_cores() // self._config.sweep.jobs if local else int(self._config.sweep.cpus)
        given = self._config, self._function, job.overrides, job.number, slot, max(1, share)
        return Order(loader, *given)
