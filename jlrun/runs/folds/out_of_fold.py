"""Out-of-fold predictions: each row's by the models that learned from other rows."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from io import StringIO
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import Tensor

from jlrun.evaluation.kept_predictions import load_positions, load_predictions
from jlrun.evaluation.prediction_columns import prediction_columns, target_cells
from jlrun.evaluation.weighted_scores import RowPredictions, weighted_scores
from jlrun.files.run_directory import RunDirectory
from jlrun.runs.folds.fold_runs import FoldRun
from jlrun.tasks import TaskSpec

ByTask = Mapping[str, RowPredictions]


def predictions_of(runs: Sequence[FoldRun]) -> list[ByTask]:
    """Return task -> predictions of the test rows of each fold."""
    return [load_predictions(RunDirectory(run.directory).checkpoints) for run in runs]


def pooled_scores(
    predictions: Sequence[ByTask], tasks: Sequence[TaskSpec], folds: int
) -> dict[str, dict[str, float]]:
    """Return task -> metric -> score of the rows of all folds together, the mean over repeats.

    Args:
        predictions: of each fold.
        tasks: those of the result.
        folds: of a repeat.
    """
    repeats = [predictions[i : i + folds] for i in range(0, len(predictions), folds)]
    found = {}
    for spec in tasks:
        scores = [
            _scores(spec, [fold[spec.name] for fold in repeat if spec.name in fold])
            for repeat in repeats
        ]
        metrics = [m for m in scores[0] if all(np.isfinite(s.get(m, np.nan)) for s in scores)]
        found[spec.name] = {metric: fmean(s[metric] for s in scores) for metric in metrics}
    return {task: scores for task, scores in found.items() if scores}


def _scores(spec: TaskSpec, parts: Sequence[RowPredictions]) -> dict[str, float]:
    if not parts:
        return {}
    rows = RowPredictions(
        torch.cat([part.probabilities for part in parts]), torch.cat([p.target for p in parts])
    )
    once = np.ones((1, len(rows)))
    return {name: float(score(once)[0]) for name, score in weighted_scores(spec.task, rows).items()}


def out_of_fold_csv(
    runs: Sequence[FoldRun], predictions: Sequence[ByTask], tasks: Sequence[TaskSpec], folds: int
) -> str:
    """Return a table of all predictions: a line for each row and repeat, in their order.

    Columns: the row's line, file or number; ``fold``, and ``repeat`` of several; of each task
    ``<task>_true`` and those of `prediction_columns`. Cells of a task that a row has no label of
    are empty; tasks with maps have none.

    Args:
        runs, predictions: of each fold.
        tasks: those of the result.
        folds: of a repeat.
    """
    repeated = len(runs) > folds
    noun = runs[0].splits["test"].noun
    lines = []
    for run, found in zip(runs, predictions, strict=True):
        repeat, number = divmod(run.number, folds)
        positions = load_positions(RunDirectory(run.directory).checkpoints)
        for position, cells in _cells_of_rows(found, positions, tasks).items():
            split = run.splits["test"]
            name = split.names[position] if split.names else int(split.places[position])
            where: dict[str, Any] = {noun: name, "fold": number}
            key = (repeat, int(split.places[position]))
            lines.append((key, where | ({"repeat": repeat} if repeated else {}) | cells))
    text = StringIO()
    own = dict.fromkeys(
        name
        for spec in _written(tasks)
        for found in predictions
        if spec.name in found
        for name in _columns(spec, found[spec.name])
    )
    names = [noun, "fold", *(["repeat"] if repeated else []), *own]
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(line for _, line in sorted(lines, key=lambda pair: pair[0]))
    return text.getvalue()


def _cells_of_rows(
    found: ByTask, positions: Mapping[str, Tensor], tasks: Sequence[TaskSpec]
) -> dict[int, dict[str, Any]]:
    """Return position in the test split -> cells."""
    cells: dict[int, dict[str, Any]] = {}
    for spec in _written(tasks):
        if spec.name not in found:
            continue
        columns = _columns(spec, found[spec.name])
        for i, position in enumerate(positions[spec.name].tolist()):
            own = {name: column[i] for name, column in columns.items() if column[i] is not None}
            cells.setdefault(position, {}).update(own)
    return cells


def _columns(spec: TaskSpec, rows: RowPredictions) -> dict[str, list[Any]]:
    """Return name -> cells: the truth, and what `predict` writes."""
    known = torch.ones(len(rows), dtype=torch.bool)
    truth = {f"{spec.name}_true": target_cells(spec, rows.target, known)}
    return {**truth, **prediction_columns(spec, rows.probabilities)}


def _written(tasks: Sequence[TaskSpec]) -> list[TaskSpec]:
    return [spec for spec in tasks if not spec.task.dense]
