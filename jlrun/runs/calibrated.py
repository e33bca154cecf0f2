"""Predictions of a run with the temperatures and thresholds fitted to its validation rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from jlrun.data.batch import Batch
from jlrun.errors import UserError
from jlrun.evaluation.scores import Predict, Prediction
from jlrun.evaluation.temperature import Tempered, tempered
from jlrun.reporting.result import read_result
from jlrun.runs.calibration import read_calibrations
from jlrun.runs.saved_run import load_config
from jlrun.tasks import Binary, Multilabel
from jlrun.tasks.classification import deciding_by
from jlrun.tasks.objective import Objective


@dataclass(frozen=True)
class Calibrated:
    """Objectives and predictions of a run with what was fitted to its validation rows.

    Attributes:
        scored: the objectives, whose tasks decide by thresholds on the probabilities that are
            shown.
        temperatures: label -> T; empty: probabilities are as trained.
    """

    scored: tuple[Objective, ...]
    temperatures: Mapping[str, float]

    def predict(self, plain: Predict) -> Predict:
        """Return predictions whose probabilities are those of logits divided by T."""

        def changed(batch: Batch, objectives: Sequence[Objective]) -> list[Prediction]:
            predictions = plain(batch, objectives)
            return [self._tempered(*pair) for pair in zip(objectives, predictions, strict=True)]

        return changed if self.temperatures else plain

    def _tempered(self, objective: Objective, found: Prediction) -> Prediction:
        task, temperature = objective.spec.task, self.temperatures.get(objective.label, 1.0)
        if not isinstance(task, Tempered):
            return found
        return replace(found, probabilities=tempered(task, found.probabilities, temperature))


def calibrated(
    directory: Path, scored: Sequence[Objective], temperature: bool, thresholds: bool
) -> Calibrated:
    """Return what a run predicts with.

    Args:
        directory: of the run.
        scored: its objectives.
        temperature: whether probabilities are those at the fitted temperature.
        thresholds: whether tuned ones decide; else 0.5.

    Raises:
        UserError: if the run has nothing of what is asked for.
    """
    found = read_calibrations(directory, scored)
    temperatures = {n: each.temperature for n, each in found.items() if each.temperature}
    limits = {n: each.thresholds for n, each in found.items() if each.thresholds}
    asked = (("--calibrated", temperature, temperatures), ("--tuned", thresholds, limits))
    for option, wanted, has in asked:
        if wanted and not has:
            what = "no temperatures" if option == "--calibrated" else "no thresholds"
            raise UserError.of(option, f"'{directory}' keeps {what}: {_why_not(directory, option)}")
    used = temperatures if temperature else {}
    if thresholds:
        scored = [_deciding(o, limits.get(o.label, ()), used.get(o.label, 1.0)) for o in scored]
    return Calibrated(tuple(scored), used)


def _why_not(directory: Path, option: str) -> str:
    """Return why a run has nothing that was fitted to its validation rows."""
    result = read_result(directory) or {}
    if result.get("status") != "completed":
        return "it did not end; `jlrun resume` goes on with it"
    config = load_config(directory)[0]
    settings: Mapping[str, Any] = config.get("calibration") or {}
    if config.get("strategy") == "zero_shot":
        return "its validation rows are of other classes than it predicts (strategy=zero_shot)"
    if result.get("objective") is None:
        return "it has no validation rows to fit them to (val_fraction=0)"
    if option == "--calibrated":
        if settings.get("temperature") is False:
            return "it has calibration.temperature=false"
        return "none of its tasks has probabilities and labelled validation rows that select it"
    if settings.get("thresholds") == "none":
        return "it has calibration.thresholds=none"
    return "none of its tasks is of yes or no, or of labels, with validation rows that select it"


def _deciding(objective: Objective, limits: Sequence[float], temperature: float) -> Objective:
    task = objective.spec.task
    if not limits or not isinstance(task, Binary | Multilabel):
        return objective
    shown = tempered(Multilabel(), torch.tensor([limits], dtype=torch.float64), temperature)[0]
    spec = replace(objective.spec, task=deciding_by(task, shown.tolist()))
    return replace(objective, spec=spec)
