"""Calibration of a run's tasks: what is fitted to validation rows, kept and reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel

from jlrun.evaluation.bootstrap import intervals
from jlrun.evaluation.reliability import reliability
from jlrun.evaluation.temperature import Tempered, fit_temperature, tempered
from jlrun.evaluation.thresholds import Criterion, decided_scores, tune_thresholds
from jlrun.evaluation.weighted_scores import RowPredictions
from jlrun.files.atomic import RESTORE, read_json, reading, write_json
from jlrun.files.run_directory import RunDirectory
from jlrun.ranges import PositiveFloat, Probability
from jlrun.tasks import Binary, Multilabel, Task
from jlrun.tasks.classification import deciding_by
from jlrun.tasks.objective import Objective

if TYPE_CHECKING:
    from jlrun.config.sections import CalibrationSettings
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
    temperature: PositiveFloat | None = None
    tuned_for: Criterion | None = None
    thresholds: list[Probability] = []


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
    if not isinstance(task, Tempered) or not len(rows) or bool(rows.probabilities.isnan().any()):
        return None
    temperature = fit_temperature(task, rows) if settings.temperature else None
    criterion = settings.thresholds
    if criterion == "none" or not isinstance(task, Binary | Multilabel):
        return TaskCalibration(rows=len(rows), temperature=temperature)
    return TaskCalibration(
        rows=len(rows),
        temperature=temperature,
        tuned_for=criterion,
        thresholds=list(tune_thresholds(task, rows, criterion)),
    )


def write_calibrations(found: Calibrations, directory: Path) -> None:
    """Write ``calibration.json`` of a run, atomically."""
    write_json(RunDirectory(directory).calibration, _Saved(tasks=dict(found)).model_dump())


def read_calibrations(directory: Path, scored: Sequence[Objective]) -> Calibrations:
    """Return task -> what was fitted to its validation rows; nothing where a run has none.

    Raises:
        UserError: if the file is damaged, or its thresholds are not those of ``scored``.
    """
    file = RunDirectory(directory).calibration
    if not file.is_file():
        return {}
    fix = f"{RESTORE}, or delete result.json and it: `jlrun resume` writes both anew"
    found = _Saved(**read_json(file, _Saved, fix)).tasks
    with reading(file, fix):
        for objective in scored:
            names, each = _decided(objective), found.get(objective.label)
            if each is not None and each.thresholds and len(each.thresholds) != len(names):
                raise ValueError(f"{objective.label}: expected {len(names)} thresholds")
    return found


def _decided(objective: Objective) -> tuple[str, ...]:
    """Return what thresholds decide: *yes*, or each label."""
    task, classes = objective.spec.task, objective.spec.classes
    if isinstance(task, Binary):
        return classes[1:] or ("yes",)
    return classes if isinstance(task, Multilabel) else ()


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
        if name not in found or name not in rows or not isinstance(task, Tempered):
            continue
        if bool(rows[name].probabilities.isnan().any()):
            continue
        if found[name].temperature is not None:
            tempers[name] = _reliabilities(task, rows[name], found[name])
        if found[name].tuned_for is not None:
            assert isinstance(task, Binary | Multilabel)
            limits[name] = _tuned(task, rows[name], found[name], _decided(objective), seed)
    return {
        **({"calibration": tempers} if tempers else {}),
        **({"thresholds": limits} if limits else {}),
    }


def _reliabilities(task: Tempered, rows: RowPredictions, found: TaskCalibration) -> Any:
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
        "intervals": {n: list(ends) for n, ends in intervals(tuned, len(rows), seed).items()},
    }
