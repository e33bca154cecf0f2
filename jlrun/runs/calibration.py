"""Calibration of a run's tasks: what is fitted to validation rows, kept, reported and applied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor

from jlrun.config.schema import CalibrationSettings
from jlrun.data.batch import Batch
from jlrun.errors import UserError
from jlrun.evaluation.reliability import reliability
from jlrun.evaluation.scores import Predict, Prediction
from jlrun.evaluation.temperature import Calibrated, fit_temperature, tempered
from jlrun.evaluation.thresholds import Criterion, decided_scores, tune_thresholds
from jlrun.evaluation.weighted_scores import RowPredictions
from jlrun.files.atomic import REWRITE, read_json, write_json
from jlrun.files.run_directory import RunDirectory
from jlrun.runs.row_statistics import resampled_intervals
from jlrun.tasks import Binary, Multilabel, Task
from jlrun.tasks.classification import deciding_by
from jlrun.tasks.objective import Objective
from jlrun.training.plan import Fit

Rows = Mapping[str, RowPredictions]


class TaskCalibration(BaseModel):
    """What was fitted to the validation rows of a task.

    Attributes:
        rows: number of these.
        temperature: T that divides logits; None: not fitted.
        tuned_for: what thresholds are best for; None: there are none.
        thresholds: of *yes*, or of each label in their order; empty: 0.5.
    """

    rows: int
    temperature: float | None = None
    tuned_for: Criterion | None = None
    thresholds: tuple[float, ...] = ()


class _Saved(BaseModel):
    """Schema of ``calibration.json``."""

    tasks: dict[str, TaskCalibration] = {}


Calibrations = Mapping[str, TaskCalibration]


def fit_calibrations(fit: Fit, rows: Rows, settings: CalibrationSettings) -> Calibrations:
    """Return task -> what its validation rows suggest.

    Only tasks whose validation labels also select the weights: those of a target without labels
    are none to learn from.

    Args:
        fit: the main one.
        rows: label of an objective -> validation predictions of its selected weights.
        settings: what is fitted.
    """
    selecting = {o.label for o in fit.phases[-1].selection}
    tasks = {o.label: o.spec.task for o in fit.scored if o.label in selecting & rows.keys()}
    same = fit.val_scored is None  # else validation is about other classes
    found = {n: _fitted(task, rows[n], settings) for n, task in tasks.items() if same}
    return {name: each for name, each in found.items() if each is not None}


def _fitted(
    task: Task, rows: RowPredictions, settings: CalibrationSettings
) -> TaskCalibration | None:
    if not isinstance(task, Calibrated) or not len(rows) or bool(rows.probabilities.isnan().any()):
        return None
    temperature = fit_temperature(task, rows) if settings.temperature else None
    criterion = settings.thresholds
    if criterion == "none" or not isinstance(task, Binary | Multilabel):
        return TaskCalibration(rows=len(rows), temperature=temperature)
    return TaskCalibration(
        rows=len(rows),
        temperature=temperature,
        tuned_for=criterion,
        thresholds=tune_thresholds(task, rows, criterion),
    )


def write_calibrations(found: Calibrations, directory: Path) -> None:
    """Write ``calibration.json`` of a run, atomically."""
    write_json(RunDirectory(directory).calibration, _Saved(tasks=dict(found)).model_dump())


def read_calibrations(directory: Path) -> Calibrations:
    """Return task -> what was fitted to its validation rows; nothing where a run has none.

    Raises:
        UserError: if the file is damaged.
    """
    file = RunDirectory(directory).calibration
    if not file.is_file():
        return {}
    return _Saved(**read_json(file, _Saved, REWRITE)).tasks


def calibration_report(
    found: Calibrations, scored: Sequence[Objective], rows: Rows, seed: int
) -> dict[str, Any]:
    """Return ``calibration`` and ``thresholds`` of a result: what both do on the test split.

    ``calibration`` has of each task its temperature, and ``test`` and ``test_calibrated``:
    `Reliability.to_json` before and after. ``thresholds`` has those, ``half`` and ``tuned``: test
    scores at 0.5 and at the thresholds, and ``intervals`` of the latter.

    Args:
        found: of the run.
        scored: its objectives.
        rows: label -> test predictions.
        seed: of the resampling.
    """
    tempers, limits = {}, {}
    for objective in scored:
        name, task = objective.label, objective.spec.task
        if name not in found or name not in rows or not isinstance(task, Calibrated):
            continue
        if bool(rows[name].probabilities.isnan().any()):
            continue
        if found[name].temperature is not None:
            tempers[name] = _reliabilities(task, rows[name], found[name])
        if found[name].tuned_for is not None:
            assert isinstance(task, Binary | Multilabel)
            names = objective.spec.classes[1:] if isinstance(task, Binary) else ()
            names = names or objective.spec.classes
            limits[name] = _tuned(task, rows[name], found[name], names, seed)
    return {
        **({"calibration": tempers} if tempers else {}),
        **({"thresholds": limits} if limits else {}),
    }


def _reliabilities(task: Calibrated, rows: RowPredictions, found: TaskCalibration) -> Any:
    assert found.temperature is not None
    after = RowPredictions(tempered(task, rows.probabilities, found.temperature), rows.target)
    return {
        "temperature": found.temperature,
        "validation_rows": found.rows,
        "test": reliability(task, rows).to_json(),
        "test_calibrated": reliability(task, after).to_json(),
    }


def _tuned(
    task: Binary | Multilabel,
    rows: RowPredictions,
    found: TaskCalibration,
    names: Sequence[str],
    seed: int,
) -> dict[str, Any]:
    once = np.ones((1, len(rows)))
    half, tuned = (
        decided_scores(each, rows) for each in (task, deciding_by(task, found.thresholds))
    )
    return {
        "tuned_for": found.tuned_for,
        "validation_rows": found.rows,
        "thresholds": dict(zip(names, found.thresholds, strict=True)),
        "half": {name: float(f(once)[0]) for name, f in half.items()},
        "tuned": {name: float(f(once)[0]) for name, f in tuned.items()},
        "intervals": resampled_intervals(tuned, len(rows), seed),
    }


def calibrated(
    scored: Sequence[Objective], found: Calibrations, *, temperature: bool, thresholds: bool
) -> tuple[Objective, ...]:
    """Return objectives whose tasks decide by thresholds, on the probabilities that are shown.

    Args:
        scored: of a run.
        found: of the run.
        temperature: whether these probabilities are `calibrated_predictions`.
        thresholds: whether tuned ones decide; else 0.5.

    Raises:
        UserError: if the run has nothing of what is asked for.
    """
    wanted = {"--calibrated": temperature, "--tuned": thresholds}
    has = {
        "--calibrated": any(each.temperature is not None for each in found.values()),
        "--tuned": any(each.thresholds for each in found.values()),
    }
    for option in wanted:
        if wanted[option] and not has[option]:
            what = "no temperature" if option == "--calibrated" else "no thresholds"
            reason = f"this run has {what}: it ended early, has no such task, or calibration.*"
            raise UserError.of(option, f"{reason} leaves them out")
    if not thresholds:
        return tuple(scored)
    return tuple(_deciding(o, found.get(o.label), temperature) for o in scored)


def _deciding(objective: Objective, found: TaskCalibration | None, temperature: bool) -> Objective:
    task = objective.spec.task
    if found is None or not found.thresholds or not isinstance(task, Binary | Multilabel):
        return objective
    limits = torch.tensor(found.thresholds, dtype=torch.float64)
    if temperature and found.temperature is not None:
        limits = tempered(Multilabel(), limits[None], found.temperature)[0]
    spec = replace(objective.spec, task=deciding_by(task, limits.tolist()))
    return replace(objective, spec=spec)


def calibrated_predictions(predict: Predict, found: Calibrations) -> Predict:
    """Return predictions whose probabilities are those of logits divided by the temperature."""

    def changed(batch: Batch, objectives: Sequence[Objective]) -> list[Prediction]:
        predictions = predict(batch, objectives)
        return [
            replace(p, probabilities=_tempered(o, p.probabilities, found.get(o.label)))
            for o, p in zip(objectives, predictions, strict=True)
        ]

    return changed


def _tempered(objective: Objective, probabilities: Tensor, found: TaskCalibration | None) -> Tensor:
    task = objective.spec.task
    if found is None or found.temperature is None or not isinstance(task, Calibrated):
        return probabilities
    return tempered(task, probabilities, found.temperature)
