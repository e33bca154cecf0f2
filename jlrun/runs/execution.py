"""Run an experiment in its directory: train every fit, score, compare, and write it all down."""

from __future__ import annotations

import os
import shlex
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from jlrun.config.compose import Composed
from jlrun.config.groups import GROUPS
from jlrun.config.schema import Settings
from jlrun.data.dataset import report_lines, write_reports
from jlrun.engine import describe_device, session
from jlrun.errors import Interrupted, RunError, UserError
from jlrun.evaluation.missing.report import missing_values
from jlrun.files.atomic import write_json, write_text
from jlrun.files.lock import held
from jlrun.files.places import FULL, Reserve, described, is_of_disk
from jlrun.files.run_directory import RunDirectory
from jlrun.objective.terms.base import Term
from jlrun.reporting.recorders.choose import make_recorder
from jlrun.reporting.recorders.header_lines import short_path
from jlrun.reporting.result import Result, Status, read_result
from jlrun.runs import fingerprints
from jlrun.runs.assembly import Assembly, assemble
from jlrun.runs.batch_sizes import fitted_batches
from jlrun.runs.environment import describe_environment
from jlrun.runs.faults import note_log
from jlrun.runs.figures import (
    draw_curve,
    draw_missing,
    draw_per_class,
    draw_records,
    observers,
    record_spaces,
)
from jlrun.runs.fingerprints import Fingerprint, check_unchanged, overlap_lines
from jlrun.runs.job import Job
from jlrun.runs.longer import check_longer, forget_ends, lengthened
from jlrun.runs.model_description import describe_model
from jlrun.runs.outcome import ensemble_scores, fit_rows, make_result, score_spaces
from jlrun.runs.saved_run import check_links, load_run, to_yaml
from jlrun.runs.shared_baselines import SharedBaselines
from jlrun.training.diagnosis.measure import Diagnosis
from jlrun.training.fit import FitFolder, FitResult, FitRun, count_trainable
from jlrun.training.interruption import listening
from jlrun.training.learner import build_learner
from jlrun.training.loop import TrainContext
from jlrun.training.plan import Fit
from jlrun.training.recorder import MAIN_FIT, Header, Position, Recorder


def execute(composed: Composed) -> Result:
    """Train the experiment of a checked config in a new run directory.

    Raises:
        UserError: if the data is wrong, or the directory holds a run already; nothing is written.
        RunError: if training fails for a reason that one line explains.
        Interrupted: if the user stops it; `resume` goes on from there.
    """

    directory = composed.run_dir
    with held(directory, "hydra.run.dir"):
        return _run(*_new_job(composed))


def _new_job(composed: Composed) -> tuple[Job, Callable[[], None]]:
    directory = composed.run_dir
    run = RunDirectory(directory)
    if run.config.exists():
        raise UserError.of(
            "hydra.run.dir",
            f"'{directory}' holds a run already; continue it with `jlrun resume {directory}`, or "
            "choose another folder",
        )
    job = Job(
        Settings.parse(composed.config),
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


def resume(directory: Path, epochs: int | None = None) -> Result:
    """Go on with an interrupted, killed or failed run, or with any one for more epochs.

    Args:
        directory: of the run.
        epochs: those of the longer run; None: as many as it was begun with.

    Raises:
        UserError: if the directory holds no run, or its config is not valid (any more).
        RunError, Interrupted: as `execute`.
    """
    load_run(directory)
    with held(directory, str(directory)):
        settings, overrides = load_run(directory)
        job = Job(settings, directory, overrides, resumed=True)
        if epochs is not None:
            return _run_longer(job, epochs)
        before = read_result(directory)
        if before is not None and before["status"] == "completed":
            more = f"jlrun resume {shlex.quote(str(directory))} epochs=N trains it for more epochs"
            raise UserError.of(str(directory), f"this run is complete; {more}")
        return _run(job, lambda: None)


def _run_longer(job: Job, epochs: int) -> Result:
    """Go on with a run for more epochs, as if it had been begun with that many."""
    longer, config, notes = lengthened(job, epochs)
    engine = job.settings.engine
    with session(threads=engine.threads, deterministic=engine.deterministic):
        fits = check_longer(job, assemble(job.settings), assemble(longer.settings).plan)

    def write_inputs() -> None:
        _end_of(longer, "interrupted", None).save()  # should a kill come: it is not complete
        forget_ends(longer, fits)
        write_text(job.files.overrides, to_yaml(list(longer.overrides)))
        write_text(job.files.config, to_yaml(config))

    return _run(replace(longer, inferred=notes), write_inputs)


def _run(job: Job, write_inputs: Callable[[], None]) -> Result:

    _check_one_process()
    if job.resumed:  # a folder that someone else may have made
        check_links(job.directory)
    settings, node = job.settings, job.settings.recorder
    threads, deterministic = settings.engine.threads, settings.engine.deterministic
    with session(threads=threads, deterministic=deterministic), listening() as stop:
        assembly = assemble(settings)
        fitted = fitted_batches(assembly.plan, job.own_batch_size)
        assembly.engine.reset_peak_memory()
        fingerprint = assembly.fingerprint
        notes = _check_data(job, fingerprint) if job.resumed else _overlap(assembly, fingerprint)
        header = _rehearse(job, assembly)
        write_inputs()
        write_json(job.files.environment, _environment(assembly))
        describe_model(assembly, job.directory)
        write_reports(assembly.reports, job.directory)
        fingerprints.write(fingerprint, job.directory)
        recorder = make_recorder(
            job.directory,
            tensorboard=node.tensorboard,
            figures=node.figures,
            progress=node.progress,
        )
        diagnosis = Diagnosis(**settings.diagnosis.model_dump())
        reserve = Reserve(job.directory)
        reserve.take()
        context = TrainContext(
            assembly.engine, recorder, settings.seed, node.log_every, stop, diagnosis
        )
        try:
            repaired = _repair(job, assembly)
            recorder.rewind(_kept(job, assembly), _recorded(job, assembly))
            recorder.start(header)
            lines = (
                *report_lines(assembly.reports),
                *_started_from(assembly),
                *assembly.notes,
                *fitted,
            )
            for line in (*repaired, *notes, *job.inferred, *lines):
                recorder.message(line)
            recorder.text("config", f"```yaml\n{to_yaml(settings.model_dump(mode='json'))}```")
            result = _train_all(job, assembly, context)
            _record_missing(result, recorder)
            draw_records(job, assembly, recorder)
            draw_curve(job, result, recorder)
            draw_missing(job, result, recorder)
            draw_per_class(job, result, recorder)
            result.save()
            recorder.finish(result.to_json())
            return result
        except Interrupted as error:
            _end(job, recorder, "interrupted", None)
            raise Interrupted(_how_to_go_on(job.directory)) from error
        except (UserError, RunError) as error:
            _end(job, recorder, "failed", str(error))
            raise
        except (
            KeyboardInterrupt
        ) as error:  # the second Ctrl-C, which does not wait for a checkpoint
            _end(job, recorder, "interrupted", None)
            raise Interrupted(_how_to_go_on(job.directory)) from error
        except OSError as error:
            reserve.free()
            if not is_of_disk(error):
                _end(job, recorder, "failed", traceback.format_exc())
                raise
            message = _disk_message(error, job.directory)
            _end(job, recorder, "failed", message)
            raise RunError(message) from error
        except Exception as error:
            _end(job, recorder, "failed", traceback.format_exc())
            note_log(error, job.files.log)
            raise
        finally:
            reserve.free()
            recorder.close()


def _check_data(job: Job, now: Fingerprint) -> list[str]:
    return check_unchanged(job.directory, now, fix="train a new run", ordered=True)


def _overlap(assembly: Assembly, fingerprint: Fingerprint) -> list[str]:
    unlabelled = ("target",) if assembly.uses_pool else ()
    return overlap_lines(fingerprint, unlabelled)


def _started_from(assembly: Assembly) -> list[str]:
    return [] if assembly.start is None else assembly.start.lines()


def _check_one_process() -> None:
    count = os.environ.get("WORLD_SIZE", "1")
    if count != "1":
        raise UserError.of(
            "torchrun", f"a run is one process so far, not {count}: use --nproc-per-node=1"
        )


def _disk_message(error: OSError, directory: Path) -> str:
    fix = "free some space" if error.errno in FULL else "repair it"
    go_on = f"jlrun resume {shlex.quote(str(directory))}"
    return f"{described(error, directory)}; {fix}, then go on from the last checkpoint: {go_on}"


def _repair(job: Job, assembly: Assembly) -> list[str]:
    """Go on from the checkpoint before a damaged one; return lines for the user."""
    found = (job.folder(fit.name).repair() for fit in assembly.plan.fits)
    return [line for line in found if line]


def _how_to_go_on(directory: Path) -> str:
    return f"interrupted; to go on: jlrun resume {shlex.quote(str(directory))}"


def _rehearse(job: Job, assembly: Assembly) -> Header:
    """Build what every phase needs once, so that what is wrong shows before anything is written."""

    fit = assembly.plan.fits[0]
    model = assembly.new_model(fit)
    objectives = [objective for phase in fit.phases for objective in phase.objectives]
    known = {name for o in objectives for name in (o.spec.name, o.label)}
    for phase in fit.phases:
        assert phase.num_steps > 0
        learner = build_learner(model, phase, assembly.engine)
        learner.weighting.check(known)
        phase.recipe.gradient_options.check(learner.weighting)
        for term in learner.terms.values():
            assert isinstance(term, Term)
            term.check(model)
    _check_terms_act(fit)
    return Header(
        run_dir=job.directory,
        mode=job.settings.mode,
        device=describe_device(assembly.engine.device),
        parameters=model.num_parameters(),
        trainable=max(count_trainable(model, phase) for phase in fit.phases),
        data={
            streams.name: {
                name: len(getattr(streams, name).rows) for name in ("train", "val", "test")
            }
            for streams in assembly.labelled
        },
        changed=_changed(job.overrides),
        settings=_choices(job.settings),
        resumed=job.resumed,
    )


def _check_terms_act(fit: Fit) -> None:
    """Check that every term acts in some phase of the main fit."""
    offered = frozenset[str]().union(*(phase.offers for phase in fit.phases))
    for name, term in fit.phases[-1].recipe.make_terms().items():
        needs = getattr(term, "needs", None)
        if needs is not None and needs not in offered:
            raise UserError.of(f"terms.{name}", f"would do nothing in this run: {_LACKING[needs]}")


_LACKING = {
    "learned weights": "it is about weights that were learned before, by a source (mode=transfer), "
    "source.run, source.weights, backbone weights or a self-supervised term",
    "target": "it brings sources and a target together, as in strategy=adapt or strategy=joint",
    "several sources": "it compares several sources, as in strategy=generalize sources=[a,b]",
    "views": "it learns from augmented views, which no phase has",
    "several modalities": "it brings modalities together, and the model takes one alone; choose "
    "several, such as modalities=[image,text]",
}


def _choices(settings: Settings) -> dict[str, Any]:
    """Return what runs are compared by: the numbers and names that people change."""
    plain = {
        name: getattr(settings, name)
        for name in ("mode", "strategy", "seed", "epochs", "batch_size", "lambda_")
    }
    groups = (group for group in GROUPS if group.slot and not group.many)
    keys = (key for group in groups for key in group.keys)
    nodes = {key: getattr(settings, key) for key in keys}
    targets = {
        name: node["_target_"].split(".")[-1]
        for name, node in nodes.items()
        if node and "_target_" in node  # neither several data sets nor a source of weights
    }
    return {**plain, **targets, "optimizer.lr": settings.optimizer.get("lr")}


def _changed(overrides: Sequence[str]) -> dict[str, str]:
    pairs = (override.split("=", 1) for override in overrides if "=" in override)
    changed = {key.lstrip("+~"): value for key, value in pairs}
    return {k: v for k, v in changed.items() if k != "mode" and not k.startswith("hydra.")}


def _kept(job: Job, assembly: Assembly) -> dict[str, int | None]:
    kept: dict[str, int | None] = {}
    for fit in assembly.plan.fits:
        folder = job.folder(fit.name)
        if folder.result() is not None:
            kept[fit.name] = None
        elif folder.last_step():
            kept[fit.name] = folder.last_step()
    return kept


def _recorded(job: Job, assembly: Assembly) -> dict[str, Mapping[str, Any]]:
    """Return what was recorded of each unfinished fit at its last checkpoint."""
    folders = {fit.name: job.folder(fit.name) for fit in assembly.plan.fits}
    found = {name: f.recorded() for name, f in folders.items() if f.result() is None}
    return {name: recorded for name, recorded in found.items() if recorded}


def _train_all(job: Job, assembly: Assembly, context: TrainContext) -> Result:

    plan, results = assembly.plan, dict[str, FitResult]()
    data = fingerprints.digests(assembly.fingerprint)
    shared = SharedBaselines.of(job.settings, job.directory, assembly.engine.device.type, data)
    peak_memory = None
    for fit in plan.fits:
        folder = job.folder(fit.name)
        _fetch(shared, fit, folder, context.recorder)
        done = folder.result()
        if done is None:
            watching = observers(job, assembly, context) if fit.name == MAIN_FIT else ()
            done = FitRun(fit, assembly.new_model(fit), folder, context).run(
                plan.val, plan.test, watching
            )
            if fit.name == MAIN_FIT:
                peak_memory = assembly.engine.peak_memory_bytes()
        _publish(shared, fit, folder, context.recorder)
        results[fit.name] = done
    scores = {name: result.scores for name, result in results.items()}
    of_ensembles, rows = ensemble_scores(job, assembly)
    scores |= of_ensembles
    rows |= fit_rows(job, assembly)
    spaces = score_spaces(job.folder(MAIN_FIT), assembly)
    chosen = results[MAIN_FIT].selected
    at = Position(MAIN_FIT, chosen["phase"], chosen["epoch"], results[MAIN_FIT].steps)
    record_spaces(assembly, spaces, at, context.recorder)
    main = results[MAIN_FIT]
    return make_result(job, assembly, main, scores, rows, peak_memory, spaces.to_json())


def _fetch(shared: SharedBaselines, fit: Fit, folder: FitFolder, recorder: Recorder) -> None:
    origin = shared.fetch(fit, folder.path)
    if origin is not None:
        recorder.message(f"baseline {fit.name}: as trained in {short_path(origin)}")


def _publish(shared: SharedBaselines, fit: Fit, folder: FitFolder, recorder: Recorder) -> None:
    try:
        shared.publish(fit, folder.path)
    except OSError as error:  # what this run needs it has
        recorder.message(f"baseline {fit.name}: other runs can't share it ({error})")


def _record_missing(result: Result, recorder: Recorder) -> None:
    values, selected = missing_values(result.extra), result.selected
    if values and selected is not None:
        at = Position(MAIN_FIT, selected["phase"], selected["epoch"], selected["step"])
        recorder.scalars(at, values)


def _end(job: Job, recorder: Recorder, status: Status, error: str | None) -> None:
    result = _end_of(job, status, error)
    with suppress(OSError):  # on a full disk there may be no room for it
        result.save()
    with suppress(OSError):
        recorder.finish(result.to_json())


def _end_of(job: Job, status: Status, error: str | None) -> Result:
    return Result(
        directory=job.directory,
        status=status,
        mode=job.settings.mode,
        seed=job.settings.seed,
        overrides=job.overrides,
        error=error,
    )


def _environment(assembly: Assembly) -> dict[str, Any]:

    return describe_environment() | {"device": describe_device(assembly.engine.device)}
