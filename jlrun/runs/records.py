"""Records of a run: what is written before training begins, and once every fit is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jlrun.data.dataset import write_reports
from jlrun.engine import describe_device
from jlrun.evaluation.missing.report import missing_values
from jlrun.evaluation.reliability import calibration_tags
from jlrun.files.atomic import write_json
from jlrun.reporting.recorders.chosen import Recorders, make_recorder
from jlrun.reporting.recorders.trackers import tracking_recorders
from jlrun.reporting.result import Result
from jlrun.runs import fingerprints
from jlrun.runs.assembly import Assembly
from jlrun.runs.description import describe_environment, describe_model
from jlrun.runs.embeddings import record_embedding
from jlrun.runs.figures import draw_figures, record_spaces
from jlrun.runs.fits_in_turn import TrainedFits
from jlrun.runs.job import Job
from jlrun.runs.outcome import ensemble_scores, fit_rows, make_result, score_spaces
from jlrun.runs.references import make_references
from jlrun.runs.row_files import write_predictions, write_splits
from jlrun.runs.saved_run import to_yaml
from jlrun.training.fit_folder import FitFolder
from jlrun.training.recorder import MAIN_FIT, Header, Position, Recorder


def describe(job: Job, assembly: Assembly) -> None:
    """Write what is known before training."""
    device = {"device": describe_device(assembly.engine.device)}
    write_json(job.files.environment, describe_environment() | device)
    describe_model(assembly, job.directory)
    write_reports(assembly.data.reports, job.directory)
    fingerprints.write(assembly.fingerprint, job.directory)
    if job.settings.recorder.rows:
        write_splits(job, assembly)


def recorder_of(job: Job, assembly: Assembly) -> Recorder:
    """Return the recorder that the settings ask for, and what watches the run."""
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


def begin_records(
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


def finish(
    job: Job, assembly: Assembly, recorder: Recorder, trained: TrainedFits, stop: Callable[[], bool]
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
    job: Job, assembly: Assembly, recorder: Recorder, trained: TrainedFits, stop: Callable[[], bool]
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


def _record_end(result: Result, recorder: Recorder) -> None:
    """Record scores with modalities missing, and what calibration does."""
    calibration = calibration_tags(result.extra.get("calibration", {}))
    values, selected = missing_values(result.extra) | calibration, result.selected
    if values and selected is not None:
        at = Position(MAIN_FIT, selected["phase"], selected["epoch"], selected["step"])
        recorder.scalars(at, values)
