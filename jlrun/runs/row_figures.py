"""Figures of the test rows of a run: samples with predictions, confusions, predicted numbers."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from jlrun.evaluation.kept_predictions import load_predictions
from jlrun.evaluation.weighted_scores import RowPredictions
from jlrun.runs.assembly import Assembly
from jlrun.runs.job import Job
from jlrun.runs.row_files import labelled_rows
from jlrun.tasks import Binary, Multiclass, Ordinal, TaskSpec
from jlrun.tasks.objective import Objective
from jlrun.training.recorder import MAIN_FIT, Recorder


def draw_rows(job: Job, assembly: Assembly, recorder: Recorder) -> None:
    """Draw the predictions of the main fit for the test rows, as they were scored and kept.

    Samples are those of the first task without maps.
    """
    fit = assembly.plan.fits[0]
    rows = load_predictions(job.folder(MAIN_FIT).path) if fit.scored else {}
    scored = [o for o in fit.scored if o.label in rows and not o.spec.task.dense]
    for objective in scored:
        _draw_task(objective, rows[objective.label], recorder)
    if scored:
        _draw_samples(scored[0], rows, assembly, recorder)


def _draw_task(objective: Objective, found: RowPredictions, recorder: Recorder) -> None:
    from jlrun.reporting.figures.classes import confusion
    from jlrun.reporting.figures.regression import predicted_numbers

    spec, label = objective.spec, objective.label
    if isinstance(spec.task, Multiclass | Binary | Ordinal):
        matrix = confusion_matrix(spec, found)
        if bool(matrix.any()):  # some row has a label
            figure = confusion(matrix, spec.classes, f"{label}, test split")
            recorder.figure(f"confusion/{label}", figure, step=0)
    elif not spec.classes:
        predicted = found.probabilities[:, 0]
        figure = predicted_numbers(found.target, predicted, f"{label}, test split")
        recorder.figure(f"regression/{label}", figure, step=0)


def confusion_matrix(spec: TaskSpec, rows: RowPredictions) -> Tensor:
    """Return how often each true class (rows) is taken for each class, int64 ``(C, C)``."""
    known = ~rows.probabilities.isnan().any(dim=1)
    true = rows.target[known].long()
    predicted = spec.task.decide(rows.probabilities[known]).long()
    count = len(spec.classes)
    return torch.bincount(true * count + predicted, minlength=count**2).view(count, count)


def _draw_samples(
    objective: Objective,
    rows: Mapping[str, RowPredictions],
    assembly: Assembly,
    recorder: Recorder,
) -> None:
    from jlrun.reporting.figures.contents import shown_at
    from jlrun.reporting.figures.sample_rows import described, sampled, worst
    from jlrun.reporting.figures.samples import LETTERS, samples

    spec, found = objective.spec, rows[objective.label]
    test = assembly.plan.test[objective.stream]
    places = labelled_rows(test.rows, spec)
    panels = []
    for at, what in (sampled(spec, found), worst(spec, found)):
        contents = shown_at(test, places[at], assembly.specs, LETTERS)
        panels.append((described(spec, found, at, contents), what))
    (shown, what), (mistakes, mistaken) = panels
    if not shown:
        return
    title = f"{objective.label}, test split: {what}"
    figure = samples(shown, title, mistakes, f"mistakes: {mistaken}")
    recorder.figure("samples/predictions", figure, step=0)
