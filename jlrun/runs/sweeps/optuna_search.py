"""Search for the best validation scores by Optuna: ``sweep=optuna``."""

from __future__ import annotations

import hashlib
import json
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override

from jlrun.config.sweep_section import SweepSettings
from jlrun.reporting.recorders.formats import format_score
from jlrun.runs.sweeps import ended
from jlrun.runs.sweeps.begun import read_state, write_state
from jlrun.runs.sweeps.display import SweepDisplay
from jlrun.runs.sweeps.ended import Ended, SweepJob, Watcher, end_of, result_in
from jlrun.runs.sweeps.launcher import JobLauncher
from jlrun.runs.sweeps.pool import POLL_SECONDS
from jlrun.runs.sweeps.searched_scores import directions, objective_values
from jlrun.runs.sweeps.shared_study import SearchSettings, SharedStudy, Twin
from jlrun.runs.sweeps.space import dimensions, fixed, written
from jlrun.wording import counted


def search(
    overrides: Sequence[Override], settings: SweepSettings, directory: Path, launcher: Any
) -> list[Ended]:
    """Run trials until the study has as many as asked for.

    Raises:
        UserError: if the database can't be used, or holds another study of that name.
    """
    state = read_state(directory)
    assert state is not None, "a sweep writes its state first"
    study = _search_settings(settings, directory, state.identity)
    pruner = settings.pruner if len(study.objectives) < 2 else "none"
    about = {"startup_trials": settings.startup_trials, "warmup_epochs": settings.warmup_epochs}
    about |= {"storage": study.storage, "name": study.name, "pruner": pruner}
    write_state(directory, state.status, state.identity, study=about)
    shared = SharedStudy(study, directions(study.objectives), str(directory), dimensions(overrides))
    done = shared.num_done
    if done:
        print(f"complete already: {done} of {counted(study.trials, 'trial')}", flush=True)
    display = SweepDisplay(max(0, study.trials - done), settings.jobs)
    trials = Trials(shared, study, fixed(overrides), display)
    with closing(shared):
        with shared.alive(), closing(display):
            _run(trials, settings.jobs, directory, launcher)
        for line in best_lines(shared, study.objectives, directory):
            print(line, flush=True)
    return trials.ends


class Trials(Watcher):
    """Jobs of a study, and what becomes of them there."""

    def __init__(
        self,
        shared: SharedStudy,
        settings: SearchSettings,
        same: Sequence[str],
        display: SweepDisplay,
    ) -> None:
        self._shared, self._settings = shared, settings
        self._same, self._display = same, display
        self.ends: list[Ended] = []

    def jobs(self) -> Iterator[SweepJob | None]:
        """Yield jobs until the study has enough trials; None while others have the last ones, or
        train the parameters of the next one."""
        begun = deque(self._shared.adopted())
        while True:
            try:
                asked = begun.popleft() if begun else self._shared.ask()
            except StopIteration:
                return
            if asked is None:
                yield None
                continue
            while (twin := self._shared.twin(*asked)) is not None and twin.state == "RUNNING":
                yield None
            if twin is None:
                yield self._job(*asked)
            else:
                self._repeat(self._job(*asked), twin)

    def started(self, job: SweepJob) -> None:
        self._display.started(job)

    def ended(self, end: Ended) -> None:
        self.ends.append(end)
        self._display.ended(end)
        number = end.job.number
        if end.status == ended.INTERRUPTED:
            return  # the next launch goes on with it
        if end.status == ended.COMPLETED:
            values = objective_values(result_in(end.directory) or {}, self._settings.objectives)
            if values is None:
                print(f"job {number} has no finite score: its trial failed", flush=True)
                kept = self._shared.fail(number)
            else:
                kept = self._shared.tell(number, values)
        elif end.status == ended.PRUNED:
            kept = self._shared.prune(number)
        else:
            kept = self._shared.fail(number)
        if not kept:
            print(f"job {number} came too late: its trial was given to another process", flush=True)

    def _repeat(self, job: SweepJob, twin: Twin) -> None:
        """End a trial as the earlier one of the same parameters has ended; nothing is trained."""
        if twin.state == "COMPLETE":
            self._shared.tell(job.number, twin.values)
        else:
            self._shared.prune(job.number)
        self._display.repeated(job, twin.number)

    def _job(self, number: int, texts: Sequence[str]) -> SweepJob:
        place = f"hydra.sweep.subdir='{number}'"
        return SweepJob(number, (*self._same, *texts, place), " ".join(texts))


def best_lines(shared: SharedStudy, objectives: Sequence[str], directory: Path) -> list[str]:
    """Return a line for each trial that no other one dominates, in validation scores and costs.

    Args:
        shared: the trials.
        objectives: what they are compared by; empty: the objective of the runs.
        directory: of the sweep, whose runs say what that is.
    """
    titles = list(objectives) or [_objective_in(directory)]
    return [
        f"{'best' if len(titles) == 1 else 'not dominated'}: job {number}: "
        + " ".join(f"{key}={_shown(value)}" for key, value in params.items())
        + "  "
        + ", ".join(f"{t} {format_score(v)}" for t, v in zip(titles, values, strict=True))
        for number, params, values in shared.best()
    ]


def _objective_in(directory: Path) -> str:
    """Return what the objective of the runs of a sweep is, such as ``val/mean_score``."""
    runs = (path for path in sorted(directory.iterdir()) if path.name.isdecimal())
    objectives = ((result_in(path) or {}).get("objective") for path in runs)
    return next((str(found["name"]) for found in objectives if found), "objective")


def _shown(value: Any) -> str:
    return written(value) if isinstance(value, float) else str(value)


def _search_settings(
    settings: SweepSettings, directory: Path, identity: Mapping[str, Any]
) -> SearchSettings:
    objectives = settings.objectives or ()
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
    several = "nsgaii" if len(objectives) > 1 else "tpe"
    return SearchSettings(
        storage=settings.storage or f"sqlite:///{directory / 'study.db'}",
        name=settings.study or f"jlrun-{digest}",
        objectives=objectives,
        sampler=several if settings.sampler == "auto" else settings.sampler,
        seed=settings.seed,
        trials=settings.trials,
        lease_seconds=settings.lease_seconds,
        configs=str(identity["configs"]),
    )


def _run(trials: Trials, at_once: int, directory: Path, launcher: Any) -> None:
    if isinstance(launcher, JobLauncher):
        launcher.run(trials.jobs(), trials)
        return
    batch: list[SweepJob] = []
    for job in trials.jobs():
        batch += [] if job is None else [job]
        if not batch:
            time.sleep(POLL_SECONDS)
        elif job is None or len(batch) == at_once:
            _run_batch(batch, trials, directory, launcher)
            batch = []
    if batch:
        _run_batch(batch, trials, directory, launcher)


def _run_batch(batch: Sequence[SweepJob], trials: Trials, directory: Path, launcher: Any) -> None:
    """Run jobs by a launcher of Hydra's, which returns when all have ended."""
    launcher.launch([job.overrides for job in batch], initial_job_idx=batch[0].number)
    for job in batch:
        trials.ended(end_of(job, directory / str(job.number)))
