"""Run an experiment in its directory: train every fit, score, compare, and write it all down."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from jlrun.config.compose import Composed
from jlrun.data.dataset import report_lines, write_reports
from jlrun.data.reading.decoded import kept_unless_shared, shared_in
from jlrun.engine import describe_device, session
from jlrun.errors import Interrupted, UserError
from jlrun.evaluation.missing.report import missing_values
from jlrun.evaluation.reliability import calibration_tags
from jlrun.files.atomic import write_json, write_text
from jlrun.files.lock import held
from jlrun.files.run_directory import RunDirectory
from jlrun.ranks.environment import world_size
from jlrun.ranks.launch import current, last_words
from jlrun.ranks.world import World
from jlrun.reporting.recorders.chosen import Recorders, make_recorder
from jlrun.reporting.recorders.header_lines import short_path
from jlrun.reporting.recorders.trackers import tracking_recorders
from jlrun.reporting.result import Result, read_result
from jlrun.runs import fingerprints
from jlrun.runs.assembly import Assembly, assemble
from jlrun.runs.description import describe_environment, describe_model
from jlrun.runs.embeddings import record_embedding
from jlrun.runs.endings import recorded_end, unfinished
from jlrun.runs.figures import draw_figures, observers, record_spaces
from jlrun.runs.fingerprints import check_unchanged, overlap_lines
from jlrun.runs.given_tables import placed
from jlrun.runs.job import Job
from jlrun.runs.longer import check_longer, forget_ends, lengthened
from jlrun.runs.outcome import ensemble_scores, fit_rows, make_result, score_spaces
from jlrun.runs.profiling import profiled
from jlrun.runs.references import make_references
from jlrun.runs.rehearsal import fitted_batches, rehearse
from jlrun.runs.row_files import write_predictions, write_splits
from jlrun.runs.saved_run import check_links, load_run, to_yaml
from jlrun.runs.settings import RunSettings
from jlrun.runs.sharding_checks import check_several
from jlrun.runs.shared_baselines import SharedBaselines
from jlrun.training.diagnosis.measure import Diagnosis
from jlrun.training.fit import FitFolder, FitResult, FitRun
from jlrun.training.interruption import listening
from jlrun.training.plan import Fit
from jlrun.training.recorder import MAIN_FIT, Header, NullRecorder, Position, Recorder
from jlrun.training.spans import TrainContext, Training, Waiting, alone

Watching = Callable[[str], Recorder] | None
Surroundings = Callable[[RunSettings], AbstractContextManager[Callable[[], bool]]]


@contextmanager
def whole_process(settings: RunSettings) -> Iterator[Callable[[], bool]]:
    """Set the process up for a run that has it for itself; yield whether the user stops it."""
    engine = settings.engine
    with session(threads=engine.threads, deterministic=engine.deterministic), listening() as stop:
        yield stop


def execute(
    composed: Composed, write_more: Callable[[], None] = lambda: None, watched_by: Watching = None
) -> Result:
    """Train the experiment of a checked config in a new run directory.

    Args:
        composed: the config.
        write_more: called before the first file of the run is written.
        watched_by: makes a further recorder, given the name of the main fit's last phase.

    Raises:
        UserError: if the data is wrong, or the directory holds a run already; nothing is written.
        RunError: if training fails for a reason that one line explains.
        Interrupted: if the user stops it; `resume` goes on from there.
    """
    return alone(executing(composed, write_more, watched_by))


def executing(
    composed: Composed,
    write_more: Callable[[], None] = lambda: None,
    watched_by: Watching = None,
    surroundings: Surroundings = whole_process,
) -> Training[Result]:
    """Train the experiment of a config as `execute` does, with its steps done by the caller.

    Args:
        composed, write_more, watched_by: as in `execute`.
        surroundings: sets the process up for the run; yields whether the user asked it to stop.
    """
    world = current()
    with ExitStack() as stack:
        # The folder's name has the time in it.
        composed = replace(composed, run_dir=world.of_first(lambda: composed.run_dir))
        check_same_config(composed, world)
        world.of_first(lambda: _enter(stack, held(composed.run_dir, "hydra.run.dir")))
        job, write_inputs = new_job(composed)

        def write() -> None:
            write_more()
            write_inputs()

        with placed(composed):
            return (yield from _run(replace(job, watched_by=watched_by), write, surroundings))


def resume(
    directory: Path, epochs: int | None = None, watched_by: Watching = None, shown: bool = False
) -> Result:
    """Go on with an interrupted, killed or failed run, or with any one for more epochs.

    Args:
        directory: of the run.
        epochs: those of the longer run; None: as many as it was begun with.
        watched_by: as in `execute`.
        shown: whether its progress is shown although it began silently, as one of many; not if the
            user has chosen otherwise.

    Raises:
        UserError: if the directory holds no run, or its config is not valid (any more).
        RunError, Interrupted: as `execute`.
    """
    return alone(resuming(directory, epochs, watched_by, shown))


def resuming(
    directory: Path,
    epochs: int | None = None,
    watched_by: Watching = None,
    shown: bool = False,
    surroundings: Surroundings = whole_process,
) -> Training[Result]:
    """Go on with a run as `resume` does, with its steps done by the caller; see `executing`."""
    load_run(directory)
    with ExitStack() as stack:
        current().of_first(lambda: _enter(stack, held(directory, str(directory))))
        settings, overrides = load_run(directory)
        typed = any(text.lstrip("+").startswith("recorder.progress=") for text in overrides)
        progress = "auto" if shown and not typed else None
        job = Job(
            settings, directory, overrides, resumed=True, progress=progress, watched_by=watched_by
        )
        if epochs is not None:
            return (yield from _run(*_longer_job(job, epochs), surroundings))
        before = read_result(directory)
        if before is not None and before["status"] == "completed":
            more = f"jlrun resume {shlex.quote(str(directory))} epochs=N trains it for more epochs"
            raise UserError.of(str(directory), f"this run is complete; {more}")
        return (yield from _run(job, lambda: None, surroundings))


def _run(
    job: Job, write_inputs: Callable[[], None], surroundings: Surroundings
) -> Training[Result]:
    """Do a run: all that can be wrong with it is found before `write_inputs` writes the first file.

    From then on its directory holds a result, whatever happens.
    """
    world = current()
    _check_joined(world)
    check_several(job, world)
    if job.resumed:  # a folder that someone else may have made
        check_links(job.directory)
    with surroundings(job.settings) as stop:
        assembly = world.one_before_the_others(lambda: assemble(job.settings))
        fitted = fitted_batches(assembly.plan, job.own_batch_size)
        assembly.engine.reset_peak_memory()
        compared = _compare_data(job, assembly)
        header = rehearse(job, assembly)
        notes = [*compared, *job.inferred, *_notes(assembly), *fitted]
        world.of_first(lambda: _write_known(job, assembly, write_inputs))
        recorder = _recorder(job, assembly) if world.is_first else NullRecorder()
        context = _context(job, assembly, recorder, world.agreed(stop))
        ending = recorded_end(job, recorder) if world.is_first else nullcontext()
        lost = last_words(lambda line: unfinished(job, "failed", line).save())
        with lost if world.is_first else nullcontext(), ending, _decoded_once(job, assembly, world):
            world.of_first(lambda: _begin_records(job, assembly, recorder, header, notes))
            trained = yield from _train_all(job, assembly, context, stop)
            return world.of_first(lambda: _finish(job, assembly, recorder, trained, stop))


def _enter(stack: ExitStack, context: AbstractContextManager[object]) -> None:
    stack.enter_context(context)


def _write_known(job: Job, assembly: Assembly, write_inputs: Callable[[], None]) -> None:
    write_inputs()
    _describe(job, assembly)


@contextmanager
def _decoded_once(job: Job, assembly: Assembly, world: World) -> Iterator[None]:
    """Keep what is decoded of files that are read again, once for the ranks of a machine."""
    if not assembly.reads_again:
        yield
        return
    with ExitStack() as stack:
        for turn in (True, False):
            if (world.local_rank == 0) is turn:
                keep = kept_unless_shared if turn else shared_in
                stack.enter_context(keep(job.files.decoded))
            world.barrier()
        yield


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


def _longer_job(job: Job, epochs: int) -> tuple[Job, Callable[[], None]]:
    """Return a run with more epochs, as if it had been begun with that many."""
    longer, config, notes = lengthened(job, epochs)
    engine = job.settings.engine
    with session(threads=engine.threads, deterministic=engine.deterministic):
        fits = check_longer(job, assemble(job.settings).plan, assemble(longer.settings).plan)

    def write_inputs() -> None:
        # Should a kill come, the run is not complete.
        unfinished(longer, "interrupted", None).save()
        forget_ends(longer, fits)
        write_text(job.files.overrides, to_yaml(list(longer.overrides)))
        write_text(job.files.config, to_yaml(config))

    return replace(longer, inferred=notes), write_inputs


def _check_joined(world: World) -> None:
    if not world.several and world_size() > 1:
        raise UserError.of(
            "torchrun",
            f"{world_size()} processes train one run by the command alone: torchrun -m jlrun …",
        )


def check_same_config(composed: Composed, world: World) -> None:
    """Check that all ranks were given the same config.

    Raises:
        UserError: if they were not.
    """
    first, *others = world.all_objects(to_yaml(composed.config))
    differing = [str(rank) for rank, config in enumerate(others, 1) if config != first]
    if differing:
        ranks = ", ".join(differing)
        raise UserError.of("torchrun", f"the config of rank {ranks} is not that of rank 0")


def _compare_data(job: Job, assembly: Assembly) -> list[str]:
    """Compare the data with what a resumed run had, or the splits with each other; return lines."""
    now = assembly.fingerprint
    if job.resumed:
        return check_unchanged(job.directory, now, fix="train a new run", ordered=True)
    return overlap_lines(now, ("target",) if assembly.uses_pool else ())


def _notes(assembly: Assembly) -> Iterator[str]:
    """Yield lines on the data and on what the model begins with."""
    yield from report_lines(assembly.data.reports)
    if assembly.start is not None:
        yield from assembly.start.lines()
    yield from assembly.notes


def _describe(job: Job, assembly: Assembly) -> None:
    """Write what is known before training."""
    device = {"device": describe_device(assembly.engine.device)}
    write_json(job.files.environment, describe_environment() | device)
    describe_model(assembly, job.directory)
    write_reports(assembly.data.reports, job.directory)
    fingerprints.write(assembly.fingerprint, job.directory)
    if job.settings.recorder.rows:
        write_splits(job, assembly)


def _recorder(job: Job, assembly: Assembly) -> Recorder:
    chosen = job.settings.recorder
    made = make_recorder(
        job.directory,
        tensorboard=chosen.tensorboard,
        figures=chosen.figure_format if chosen.figures else None,
        progress=job.progress or chosen.progress,
    )
    parts = [*made.parts, *tracking_recorders(job.directory, chosen.wandb, chosen.mlflow)]
    if job.watched_by is not None:
        (main,) = (fit for fit in assembly.plan.fits if fit.name == MAIN_FIT)
        parts.append(job.watched_by(main.phases[-1].name))
    return Recorders(parts)


def _context(
    job: Job, assembly: Assembly, recorder: Recorder, stop: Callable[[], bool]
) -> TrainContext:
    settings = job.settings
    diagnosis = Diagnosis(**settings.diagnosis.model_dump())
    log_every = settings.recorder.log_every
    return TrainContext(assembly.engine, recorder, settings.seed, log_every, stop, diagnosis)


def _begin_records(
    job: Job, assembly: Assembly, recorder: Recorder, header: Header, notes: list[str]
) -> None:
    """Take the records back to the last checkpoint of each fit, and begin with what is known."""
    folders = {fit.name: job.folder(fit.name) for fit in assembly.plan.fits}
    # A damaged checkpoint is replaced by the one before it.
    repaired = [line for line in [f.repair() for f in folders.values()] if line]
    recorder.rewind(_kept(folders), _recorded(folders))
    recorder.start(header)
    for line in (*repaired, *notes):
        recorder.message(line)
    recorder.text("config", f"```yaml\n{to_yaml(dict(job.settings.config))}```")


def _kept(folders: Mapping[str, FitFolder]) -> dict[str, int | None]:
    """Return fit -> the steps whose records stay, of those that have any; None: all."""
    kept: dict[str, int | None] = {}
    for name, folder in folders.items():
        if folder.result() is not None:
            kept[name] = None
        elif folder.last_step():
            kept[name] = folder.last_step()
    return kept


def _recorded(folders: Mapping[str, FitFolder]) -> dict[str, Mapping[str, Any]]:
    """Return what was recorded of each unfinished fit at its last checkpoint."""
    found = {name: f.recorded() for name, f in folders.items() if f.result() is None}
    return {name: recorded for name, recorded in found.items() if recorded}


@dataclass(frozen=True)
class _Trained:
    """Fits of a run: their results by name, and the peak memory of the main one."""

    results: Mapping[str, FitResult]
    peak_memory: int | None


def _train_all(
    job: Job, assembly: Assembly, context: TrainContext, stop: Callable[[], bool]
) -> Training[_Trained]:
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
    return _Trained({fit.name: results[fit.name] for fit in assembly.plan.fits}, peak_memory)


def _finish(
    job: Job, assembly: Assembly, recorder: Recorder, trained: _Trained, stop: Callable[[], bool]
) -> Result:
    """Compare the fits, and write it all down."""
    result = _compared(job, assembly, recorder, trained, stop)
    _record_end(result, recorder)
    draw_figures(job, assembly, result, recorder)
    record_embedding(job, assembly, recorder)
    result.save()
    recorder.finish(result.to_json())
    return result


def _compared(
    job: Job, assembly: Assembly, recorder: Recorder, trained: _Trained, stop: Callable[[], bool]
) -> Result:
    results, main = trained.results, trained.results[MAIN_FIT]
    kept = fit_rows(job, assembly)
    if job.settings.recorder.rows:
        write_predictions(job, assembly, kept[MAIN_FIT])
    scores = {name: result.scores for name, result in results.items()}
    references = make_references(assembly, stop, recorder)
    of_ensembles, rows = ensemble_scores(job, assembly)
    scores |= of_ensembles
    rows |= kept
    spaces = score_spaces(job.folder(MAIN_FIT), assembly)
    at = Position(MAIN_FIT, main.selected["phase"], main.selected["epoch"], main.steps)
    record_spaces(assembly, spaces, at, recorder)
    extra = {**spaces.to_json(), **references.to_json()}
    if assembly.engine.world.several:
        extra["ranks"] = assembly.engine.world.size
    return make_result(job, assembly, main, scores, rows, references, trained.peak_memory, extra)


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


def _record_end(result: Result, recorder: Recorder) -> None:
    """Record scores with modalities missing, and what calibration does."""
    calibration = calibration_tags(result.extra.get("calibration", {}))
    values, selected = missing_values(result.extra) | calibration, result.selected
    if values and selected is not None:
        at = Position(MAIN_FIT, selected["phase"], selected["epoch"], selected["step"])
        recorder.scalars(at, values)
