"""Run an experiment in its directory: train every fit, score, compare, and write it all down."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from jlrun.config.compose import Composed
from jlrun.data.dataset import report_lines
from jlrun.data.reading.decoded import kept_unless_shared, shared_in
from jlrun.engine import session_of
from jlrun.errors import UserError
from jlrun.files.lock import held
from jlrun.ranks.environment import world_size
from jlrun.ranks.launch import current, last_words
from jlrun.ranks.world import World
from jlrun.reporting.result import Result, read_result
from jlrun.runs.assembly import Assembly, assemble
from jlrun.runs.endings import recorded_end, unfinished
from jlrun.runs.fingerprints import check_unchanged, overlap_lines
from jlrun.runs.fits_in_turn import train_all
from jlrun.runs.given_tables import placed
from jlrun.runs.job import Job
from jlrun.runs.records import begin_records, describe, finish, recorder_of
from jlrun.runs.rehearsal import fitted_batches, rehearse
from jlrun.runs.run_inputs import longer_job, new_job
from jlrun.runs.saved_run import check_links, load_run, to_yaml
from jlrun.runs.settings import RunSettings
from jlrun.runs.sharding_checks import check_several
from jlrun.training.diagnosis.measure import Diagnosis
from jlrun.training.interruption import listening
from jlrun.training.recorder import NullRecorder, Recorder
from jlrun.training.spans import TrainContext, Training, alone

Watching = Callable[[str], Recorder] | None
Surroundings = Callable[[RunSettings], AbstractContextManager[Callable[[], bool]]]


@contextmanager
def whole_process(settings: RunSettings) -> Iterator[Callable[[], bool]]:
    """Set the process up for a run that has it for itself; yield whether the user stops it."""
    engine = settings.engine
    with session_of(engine), listening() as stop:
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
            return (yield from _run(*longer_job(job, epochs), surroundings))
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
        recorder = recorder_of(job, assembly) if world.is_first else NullRecorder()
        context = _context(job, assembly, recorder, world.agreed(stop))
        ending = recorded_end(job, recorder) if world.is_first else nullcontext()
        lost = last_words(lambda line: unfinished(job, "failed", line).save())
        with lost if world.is_first else nullcontext(), ending, _decoded_once(job, assembly, world):
            world.of_first(lambda: begin_records(job, assembly, recorder, header, notes))
            trained = yield from train_all(job, assembly, context, stop)
            return world.of_first(lambda: finish(job, assembly, recorder, trained, stop))


def _enter(stack: ExitStack, context: AbstractContextManager[object]) -> None:
    stack.enter_context(context)


def _write_known(job: Job, assembly: Assembly, write_inputs: Callable[[], None]) -> None:
    write_inputs()
    describe(job, assembly)


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


def _context(
    job: Job, assembly: Assembly, recorder: Recorder, stop: Callable[[], bool]
) -> TrainContext:
    settings = job.settings
    diagnosis = Diagnosis(**settings.diagnosis.model_dump())
    log_every = settings.recorder.log_every
    return TrainContext(assembly.engine, recorder, settings.seed, log_every, stop, diagnosis)
