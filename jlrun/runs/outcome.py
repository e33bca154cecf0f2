"""Outcome of a run, from the fits that are done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jlrun.data.missing_shares import missing_shares
from jlrun.evaluation.kept_predictions import VAL_PREDICTIONS, KeptPredictions, load_predictions
from jlrun.evaluation.missing.report import score_missing
from jlrun.evaluation.missing.scoring import ScoredModel
from jlrun.evaluation.retrieval import Findings, measure_spaces
from jlrun.evaluation.scores import Predict, SplitScores, ensemble, evaluate, predictor
from jlrun.evaluation.weighted_scores import RowPredictions
from jlrun.files.run_directory import BEST
from jlrun.models import checkpoints
from jlrun.reporting.result import Result
from jlrun.reporting.task_relations import read_relations
from jlrun.runs.assembly import Assembly
from jlrun.runs.calibration import calibration_report, fit_calibrations, write_calibrations
from jlrun.runs.job import Job
from jlrun.runs.references import REFERENCE, References
from jlrun.runs.row_statistics import RowStatistics
from jlrun.runs.shared_baselines import origins
from jlrun.runs.wise_ft import wise_ft
from jlrun.training.fit_folder import LAST_EPOCH, FitFolder, FitResult
from jlrun.training.plan import Fit, Phase
from jlrun.training.recorder import MAIN_FIT

Rows = dict[str, dict[str, RowPredictions]]
_FEW = 0.01  # share of training rows from which on a model learns to do without a modality


def ensemble_scores(job: Job, assembly: Assembly) -> tuple[dict[str, SplitScores], Rows]:
    """Return name -> scores, and test predictions, of each ensemble of the plan's checkpoints."""
    plan, found, rows = assembly.plan, {}, {}
    for each in plan.ensembles:
        takes = [_fit(assembly, name).modalities for name, _ in each.members]
        predict = ensemble([_predictor(job, assembly, *member) for member in each.members], takes)
        kept = KeptPredictions()
        found[each.name] = SplitScores(
            val=evaluate(predict, each.scored, plan.val),
            test=evaluate(predict, each.scored, plan.test, (kept,)),
        )
        rows[each.name] = kept.by_task()
    return found, rows


def fit_rows(job: Job, assembly: Assembly) -> Rows:
    """Return fit -> task -> test predictions, of finished fits."""
    return {fit.name: load_predictions(job.folder(fit.name).path) for fit in assembly.plan.fits}


def _predictor(job: Job, assembly: Assembly, fit_name: str, checkpoint: str) -> Predict:
    """Return the predictions of a checkpoint of a fit."""
    model = assembly.new_model(_fit(assembly, fit_name))
    checkpoints.load_model(job.folder(fit_name).path / checkpoint, model)
    return predictor(model, assembly.engine)


def _fit(assembly: Assembly, name: str) -> Fit:
    (fit,) = (fit for fit in assembly.plan.fits if fit.name == name)
    return fit


def make_result(
    job: Job,
    assembly: Assembly,
    main: FitResult,
    scores: Mapping[str, SplitScores],
    rows: Rows,
    references: References,
    peak_memory: int | None,
    more: Mapping[str, Any],
) -> Result:
    """Return the result of a completed run: the scores of its fits, and how they compare."""
    compared, seed = assembly.plan.compare(scores), job.settings.seed
    compared = references.compared(compared, main.test, assembly.tasks)
    rows = {**rows, REFERENCE: references.rows}
    scored = {o.label: o.spec.task for o in assembly.plan.fits[0].scored}
    statistics = RowStatistics(rows, scored, main.test, seed)
    comparison = statistics.compared(compared, assembly.tasks)
    selected_by = main.selected["criterion"], main.selected["score"]
    criterion, value = comparison.objective or selected_by
    objective = {"name": criterion, "value": value, "direction": "maximize"}
    return Result(
        directory=job.directory,
        status="completed",
        mode=job.settings.strategy.mode,
        seed=job.settings.seed,
        overrides=job.overrides,
        test=main.test,
        val=main.val,
        objective=None if criterion == LAST_EPOCH else objective,
        selected={
            **{key: main.selected[key] for key in ("phase", "epoch", "step")},
            "by": main.selected["criterion"],
        },
        primary={spec.name: spec.task.primary for spec in assembly.tasks},
        baselines=comparison.baselines,
        gain=comparison.gain,
        model={"parameters": main.parameters, "trainable": main.trainable},
        cost={
            "train_seconds": main.seconds,
            "samples_per_second": main.samples / main.seconds if main.seconds else None,
            "steps": main.steps,
            "peak_memory_bytes": peak_memory,
        },
        extra={
            **main.also,
            **_per_class(main),
            **({"skipped_steps": main.skipped} if main.skipped else {}),
            **calibrate(job, assembly, rows[MAIN_FIT]),
            **statistics.intervals(comparison.baselines),
            **_unselected(main),
            **_curve(job, assembly),
            **_start(assembly),
            **comparison.extra,
            **more,
            **assembly.plan.report(lambda fit: _predictor(job, assembly, fit, BEST)),
            **_origins(job, assembly),
            **_missing(job, assembly),
            **_data(assembly),
            **_unscored(assembly, main),
            **_unknown_classes(assembly),
            **_relations(job),
        },
    )


def calibrate(job: Job, assembly: Assembly, test: Mapping[str, RowPredictions]) -> dict[str, Any]:
    """Fit calibrations to validation rows, keep them, and return what they do on the test split."""
    fit = assembly.plan.fits[0]
    val = load_predictions(job.folder(fit.name).path, VAL_PREDICTIONS)
    found = fit_calibrations(fit, val, job.settings.calibration)
    write_calibrations(found, job.directory)
    return calibration_report(found, fit.scored, test, job.settings.seed)


def _unselected(main: FitResult) -> dict[str, Any]:
    """Return the test scores of checkpoints that selection did not choose, if measured."""
    return {"last": main.last, "oracle": main.oracle} if main.oracle else {}


def _per_class(main: FitResult) -> dict[str, Any]:
    """Return how well each class is found in the test split, of tasks with classes."""
    return {"per_class": main.per_class} if main.per_class else {}


def _curve(job: Job, assembly: Assembly) -> dict[str, Any]:
    """Return the scores of models between the weights before and after fine-tuning."""
    fit = assembly.plan.fits[0]
    if fit.interpolated is None:
        return {}
    folder = job.folder(fit.name)
    model = assembly.new_model(fit)
    before = (
        checkpoints.load_tensors(folder.path / fit.interpolated)
        if fit.interpolated
        else {name: tensor.cpu() for name, tensor in model.state_dict().items()}
    )
    after = checkpoints.load_tensors(folder.best)
    curve = wise_ft(model, before, after, fit, assembly.plan, assembly.engine)
    return {"wise_ft": [between.to_json() for between in curve]}


def _start(assembly: Assembly) -> dict[str, Any]:
    """Return what the model began with, if that was learned elsewhere."""
    start = assembly.start
    return {} if start is None or start.report is None else {"start": start.to_json()}


def _origins(job: Job, assembly: Assembly) -> dict[str, Mapping[str, str]]:
    found = origins({fit.name: job.folder(fit.name).path for fit in assembly.plan.fits})
    return {"baselines_from": found} if found else {}


def _missing(job: Job, assembly: Assembly) -> dict[str, Any]:
    if not job.settings.missing.evaluate:
        return {}
    return missing_scores(assembly, lambda: _predictor(job, assembly, MAIN_FIT, BEST))


def missing_scores(assembly: Assembly, predict: Callable[[], Predict]) -> dict[str, Any]:
    """Return what the main model scores with modalities missing, and what each contributes.

    Args:
        assembly: of the run.
        predict: makes the predictions of the selected weights, where they are needed.

    Returns:
        as `jlrun.evaluation.missing.report.score_missing`; nothing of a model of one modality, or
        of a run without tasks.
    """
    fit, node = assembly.plan.fits[0], assembly.settings.missing
    if len(fit.modalities) < 2 or not fit.scored:
        return {}
    last = fit.phases[-1]
    model = ScoredModel(
        fit.modalities, fit.scored, last.objectives, last.train, _never_missing(fit)
    )
    return score_missing(predict(), model, assembly.plan.test, node.rates, node.seeds)


def _never_missing(fit: Fit) -> tuple[str, ...]:
    """Return the modalities that in no phase with tasks more than a few training rows lacked."""
    most = dict.fromkeys(fit.modalities, 0.0)
    for phase in (phase for phase in fit.phases if phase.objectives):
        rates = phase.recipe.modality_dropout.rates
        found = missing_shares((s.rows for s in phase.train.values()), fit.modalities)
        for modality, share in found.items():
            dropped = share + (1 - share) * rates.get(modality, 0.0)
            most[modality] = max(most[modality], dropped)
    return tuple(modality for modality, share in most.items() if share < _FEW)


def _data(assembly: Assembly) -> dict[str, Any]:
    """Return the reports of data sets."""
    found = {name: report.to_json() for name, report in assembly.data.reports.items()}
    return {"data": found} if found else {}


def _unscored(assembly: Assembly, main: FitResult) -> dict[str, Any]:
    """Return why tasks have no score on the test split."""
    missing = [spec.name for spec in assembly.tasks if spec.name not in main.test]
    why = "no row of the test split has a label"
    return {"unscored": dict.fromkeys(missing, why)} if missing else {}


def _unknown_classes(assembly: Assembly) -> dict[str, Any]:
    """Return the classes of the target that no source has, which no score counts."""
    found = {task: list(names) for task, names in assembly.data.matching.unknown.items()}
    return {"unknown_classes": found} if found else {}


def _relations(job: Job) -> dict[str, Any]:
    found = read_relations(job.files.metrics)
    return {"diagnosis": found[-1].to_json()} if found else {}


def score_spaces(folder: FitFolder, assembly: Assembly) -> Findings:
    """Score the spaces of the main fit with the selected weights of the last phase that had them.

    Later phases move the encoders away from the projections; their weights are not scored. This
    reads the test split, once the run is done.

    Args:
        folder: of the main fit, with its checkpoints.
        assembly: of the run.
    """
    fit, phase = assembly.plan.fits[0], learning_phase(assembly)
    if phase is None:
        return Findings()
    model = assembly.new_model(fit)
    checkpoints.load_model(folder.selected(fit, phase), model)
    options = assembly.settings.retrieval
    return measure_spaces(model, assembly.engine, assembly.leading, assembly.specs, options)


def learning_phase(assembly: Assembly) -> Phase | None:
    """Return the last phase of the main fit in which terms between modalities act."""
    acting = [phase for phase in assembly.plan.fits[0].phases if phase.across_modalities]
    return acting[-1] if acting else None
