"""The figures of a run."""

from __future__ import annotations

from collections.abc import Sequence

from jlrun.evaluation.retrieval import Findings
from jlrun.evaluation.scores import Observer
from jlrun.reporting.pr_curves import PrecisionRecallObserver
from jlrun.reporting.result import Result
from jlrun.reporting.task_relations import read_relations
from jlrun.runs.assembly import Assembly
from jlrun.runs.job import Job
from jlrun.runs.row_figures import draw_rows
from jlrun.training.recorder import Position, Recorder
from jlrun.training.spans import TrainContext


def observers(job: Job, assembly: Assembly, context: TrainContext) -> Sequence[Observer]:
    """Return what looks on while the test split is scored, as far as it is asked for."""
    chosen, recorder = job.settings.recorder, context.recorder
    return [PrecisionRecallObserver(recorder)] if chosen.pr_curves else []


def draw_figures(job: Job, assembly: Assembly, result: Result, recorder: Recorder) -> None:
    """Draw the records and the result of a run, if it is asked for."""
    if not job.settings.recorder.figures:
        return
    _draw_records(job, assembly, recorder)
    draw_rows(job, assembly, recorder)
    _draw_curve(result, recorder)
    _draw_missing(result, recorder)
    _draw_per_class(result, recorder)
    _draw_reliability(result, recorder)


def _draw_records(job: Job, assembly: Assembly, recorder: Recorder) -> None:
    from jlrun.reporting.figures.cosines import gradient_cosines, task_affinity
    from jlrun.reporting.figures.curves import curves
    from jlrun.reporting.figures.weights import weights

    recorder.flush()
    metrics = job.files.metrics
    primary = {spec.name: spec.task.primary for spec in assembly.tasks}
    relations = read_relations(metrics)
    figures = {
        "curves": curves(metrics, primary),
        "gradient_cosines": gradient_cosines(relations),
        "task_affinity": task_affinity(relations),
        "weights": weights(metrics),
    }
    for tag, figure in figures.items():
        if figure is not None:
            recorder.figure(tag, figure, step=0)


def record_spaces(assembly: Assembly, found: Findings, at: Position, recorder: Recorder) -> None:
    """Record what was found of shared spaces, and what captions find among images."""
    recorder.scalars(at, found.values())
    if not assembly.settings.recorder.figures:
        return
    from jlrun.reporting.figures.retrieval import queries_of, retrieval

    stream = assembly.leading.test.sample(assembly.settings.retrieval.rows)
    for space, rows in found.rows.items():
        for way, queries in queries_of(rows, stream, assembly.specs):
            figure = retrieval(queries, f"{way}, {space}, test split")
            recorder.figure(f"retrieval/{space}/{way.replace(' ', '_')}", figure, at.step)


def _draw_curve(result: Result, recorder: Recorder) -> None:
    points = result.extra.get("wise_ft", ())
    if not points or not points[0]["source"]:
        return
    from jlrun.reporting.figures.wise_ft import wise_ft as draw

    for task, metric in result.primary.items():
        shown = [
            {
                "alpha": point["alpha"],
                "source": point["source"][f"source.{task}"][metric],
                "target": point["test"][task][metric],
                "selected": point["selected"],
            }
            for point in points
            if f"source.{task}" in point["source"]
        ]
        if shown:
            recorder.figure(f"wise_ft/{task}", draw(shown, metric), step=0)


def _draw_missing(result: Result, recorder: Recorder) -> None:
    found = result.extra.get("missing")
    if not found:
        return
    from jlrun.reporting.figures.missing import contribution, missing

    recorder.figure("missing", missing(found), step=0)
    if result.extra["contribution"]:
        recorder.figure("contribution", contribution(result.extra["contribution"]), step=0)


def _draw_per_class(result: Result, recorder: Recorder) -> None:
    found = result.extra.get("per_class")
    if not found:
        return
    from jlrun.reporting.figures.classes import per_class

    for task, classes in found.items():
        figure = per_class(classes, f"{task}, test split")
        recorder.figure(f"per_class/{task}", figure, step=0)


def _draw_reliability(result: Result, recorder: Recorder) -> None:
    found = result.extra.get("calibration")
    if not found:
        return
    from jlrun.reporting.figures.reliability import reliability

    for task, each in found.items():
        figure = reliability(each, f"{task}, test split")
        recorder.figure(f"reliability/{task}", figure, step=0)
