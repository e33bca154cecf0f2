"""Fits of a run in turn: each trained here, or taken from another run that trained the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

from jlrun.errors import Interrupted
from jlrun.ranks.world import World
from jlrun.reporting.recorders.header_lines import short_path
from jlrun.runs import fingerprints
from jlrun.runs.assembly import Assembly
from jlrun.runs.figures import observers
from jlrun.runs.job import Job
from jlrun.runs.profiling import profiled
from jlrun.runs.shared_baselines import SharedBaselines
from jlrun.training.fit import FitRun
from jlrun.training.fit_folder import FitFolder, FitResult
from jlrun.training.plan import Fit
from jlrun.training.recorder import MAIN_FIT, Recorder
from jlrun.training.spans import TrainContext, Training, Waiting


@dataclass(frozen=True)
class TrainedFits:
    """Fits of a run: their results by name, and the peak memory of the main one."""

    results: Mapping[str, FitResult]
    peak_memory: int | None


def train_all(
    job: Job, assembly: Assembly, context: TrainContext, stop: Callable[[], bool]
) -> Training[TrainedFits]:
    """Train every fit of the plan that is not done, or take it from another run."""
    world = assembly.engine.world
    data = fingerprints.digests(assembly.fingerprint)
    shared = SharedBaselines.of(job.settings, job.directory, assembly.engine.device.type, data)
    results, peak_memory = dict[str, FitResult](), None
    for fit in _same_turns(assembly.plan.fits, _in_turn(assembly.plan.fits, shared, stop), world):
        if fit is None:
            yield Waiting()
            continue
        folder = job.folder(fit.name)
        done = world.of_first(partial(_fetched, shared, fit, folder, context.recorder))
        if done is None:
            done = yield from _train(job, assembly, context, fit, folder)
            if fit.name == MAIN_FIT:
                peak_memory = assembly.engine.peak_memory_bytes()
        world.of_first(partial(_publish, shared, fit, folder, context.recorder))
        results[fit.name] = done
    return TrainedFits({fit.name: results[fit.name] for fit in assembly.plan.fits}, peak_memory)


def _same_turns(
    fits: Sequence[Fit], turns: Iterator[Fit | None], world: World
) -> Iterator[Fit | None]:
    """Yield what rank 0 finds to be next, on all ranks."""
    if not world.several:
        yield from turns
        return
    by_name = {fit.name: fit for fit in fits}

    def next_of_first() -> tuple[bool, str | None]:
        try:
            fit = next(turns)
        except StopIteration:
            return True, None
        return False, None if fit is None else fit.name

    while True:
        over, name = world.of_first(next_of_first)
        if over:
            return
        yield None if name is None else by_name[name]


def _in_turn(
    fits: Sequence[Fit], shared: SharedBaselines, stop: Callable[[], bool]
) -> Iterator[Fit | None]:
    """Yield each fit, those last that other runs are training now; None: wait for these.

    Raises:
        Interrupted: if the user stops the run while it waits for another one.
    """
    waiting = list(fits)
    while waiting:
        for fit in waiting:
            with shared.claimed(fit) as free:
                if free:
                    yield fit
                    waiting.remove(fit)
                    break
        else:
            if stop():
                raise Interrupted
            yield None


def _train(
    job: Job, assembly: Assembly, context: TrainContext, fit: Fit, folder: FitFolder
) -> Training[FitResult]:
    is_main = fit.name == MAIN_FIT and assembly.engine.world.is_first
    watching = observers(job, assembly, context) if is_main else ()
    asked = is_main and job.settings.debug == "profile"
    profile = profiled(assembly, fit, context, job.files.trace) if asked else nullcontext(context)
    with profile as around:
        run = FitRun(fit, assembly.new_model(fit), folder, around)
        return (yield from run.training(assembly.plan.val, assembly.plan.test, watching))


def _fetched(
    shared: SharedBaselines, fit: Fit, folder: FitFolder, recorder: Recorder
) -> FitResult | None:
    """Return the result of a fit that is done, here or in another run."""
    origin = shared.fetch(fit, folder.path)
    if origin is not None:
        recorder.message(f"baseline {fit.name}: as trained in {short_path(origin)}")
    return folder.result()


def _publish(shared: SharedBaselines, fit: Fit, folder: FitFolder, recorder: Recorder) -> None:
    try:
        shared.publish(fit, folder.path)
    except OSError as error:  # what this run needs it has
        recorder.message(f"baseline {fit.name}: other runs can't share it ({error})")
