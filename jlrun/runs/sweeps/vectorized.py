"""Vectorized sweeps: all jobs in one process, where runs that differ in little train as one.

Each job is a run of its own, with its directory, records, checkpoints and result; only the steps of
runs of one kind are done together (`jlrun.training.stacked`). What can't be says so in a line, and
trains run by run.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, TextIO

from omegaconf import DictConfig, OmegaConf

from jlrun.config.compose import Composed, Loader
from jlrun.config.folds import folded
from jlrun.data.reading.decoded import shared_in
from jlrun.engine import session_of
from jlrun.files.run_directory import RunDirectory
from jlrun.runs import execution
from jlrun.runs.settings import RunSettings
from jlrun.runs.starting import execute, resume
from jlrun.runs.sweeps.ended import JobSource, SweepJob, Watcher, end_of, result_in
from jlrun.runs.sweeps.sweep_job import Swept, value_of
from jlrun.runs.sweeps.worker import run_composed, sweep_config
from jlrun.training.interruption import listening
from jlrun.training.spans import Training
from jlrun.training.stacked.together import Member, together

# Parts of a config in which runs that train as one may differ: each has its own of these.
OWN = frozenset(
    {"seed", "optimizer", "scheduler", "weighting", "terms", "lambda_", "lambda_ramp"}
    | {"patience", "ema", "baselines_cache"}
)
Stopped = Callable[[], bool]


@dataclass
class _Begun:
    """A job whose run is about to begin.

    Attributes:
        job: of the sweep.
        member: its training.
        directory: of the run.
    """

    job: SweepJob
    member: Member
    directory: Path


def run_as_one(loader: Loader, master: DictConfig, jobs: JobSource, watcher: Watcher) -> None:
    """Run jobs, as many at a time as ``sweep.at_once`` says.

    Raises:
        KeyboardInterrupt: if the user stops the sweep; all jobs have written a checkpoint.
    """
    known = [job for job in jobs if job is not None]
    configs = {job.number: sweep_config(loader, master, job.overrides, job.number) for job in known}

    def engine_of(job: SweepJob) -> str:
        return _text(OmegaConf.to_container(configs[job.number].engine, resolve=True))

    # What the engine sets is of the whole process.
    for _, alike in groupby(known, key=engine_of):
        left = list(alike)
        while left:
            some, left = left[: master.sweep.at_once], left[master.sweep.at_once :]
            _run_some(loader, {job.number: configs[job.number] for job in some}, some, watcher)


def _run_some(
    loader: Loader, configs: Mapping[int, DictConfig], jobs: Sequence[SweepJob], watcher: Watcher
) -> None:
    engine = configs[jobs[0].number].engine
    failures: list[BaseException] = []
    with session_of(engine), listening() as stopped, ExitStack() as outputs:
        begun = {}
        sweep = Path(str(configs[jobs[0].number].hydra.sweep.dir))
        outputs.enter_context(shared_in(RunDirectory(sweep).decoded))
        for planned in jobs:
            job = planned.begins()
            watcher.started(job)
            found = _begin(loader, configs[job.number], job, stopped, outputs)
            begun[id(found.member)] = found

        def ended(member: Member) -> None:
            each = begun[id(member)]
            if isinstance(member.error, KeyboardInterrupt):
                if not stopped():  # the folds of a job listen by themselves
                    stopped.ask(signal.SIGINT, None)
                if result_in(each.directory) is None:
                    return  # it had not begun
            elif member.error is not None:
                failures.append(member.error)
                return
            watcher.ended(end_of(each.job, each.directory))

        say = partial(print, flush=True)
        together([each.member for each in begun.values()], ended, stopped, say)
        if stopped():
            raise KeyboardInterrupt
    if failures:
        raise failures[0]


def _begin(
    loader: Loader, config: DictConfig, job: SweepJob, stopped: Stopped, outputs: ExitStack
) -> _Begun:
    """Return a job as Hydra's launchers begin it; its training waits for its first step."""
    directory = Path(str(config.hydra.sweep.dir), str(config.hydra.sweep.subdir))
    found: list[Swept] = []
    run_composed(loader, config, lambda cfg: found.append(Swept.now(cfg)))
    (swept,) = found
    file = RunDirectory(directory).output
    file.parent.mkdir(parents=True, exist_ok=True)
    output = outputs.enter_context(file.open("a", encoding="utf-8", buffering=1))
    around = partial(_printing_to, output)
    member = Member(str(job.number), _training(swept, stopped), _common(swept), around)
    return _Begun(job, member, directory)


def _training(job: Swept, stopped: Stopped) -> Training[float | None]:
    """Train a job, or resume it, as `jlrun.runs.sweeps.sweep_job.run_job` does."""
    print(job.title, flush=True)
    with job.failures_recorded():
        if stopped():
            raise KeyboardInterrupt
        composed = job.checked()
        begun = job.begun(composed)
        before = job.completed() if begun else None
        if before is not None:
            return value_of(before["objective"])
        if folded(composed.config) is not None:  # several runs, one after the other
            return value_of(_folds(job, composed, begun).objective)
        around = partial(_within, stopped)
        if begun:
            result = yield from execution.resuming(job.directory, surroundings=around)
        else:
            result = yield from execution.executing(composed, surroundings=around)
        return value_of(result.objective)
    return None


def _folds(job: Swept, composed: Composed, begun: bool) -> Any:
    return resume(job.directory) if begun else execute(composed)


@contextmanager
def _within(stopped: Stopped, settings: RunSettings) -> Iterator[Stopped]:
    """Surroundings of a run in a process that is set up for all."""
    yield stopped


@contextmanager
def _printing_to(output: TextIO) -> Iterator[None]:
    with redirect_stdout(output), redirect_stderr(output):
        yield


def _common(job: Swept) -> str:
    """Return the parts of a job's config in which runs that train as one agree."""
    config: Any = OmegaConf.to_container(job.cfg, resolve=True)
    return _text({name: value for name, value in config.items() if name not in OWN})


def _text(values: Any) -> str:
    return json.dumps(values, sort_keys=True, default=str)
