"""Predictions of a table, images or arrays by a saved run, as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jlrun.errors import UserError
from jlrun.files.run_directory import RunDirectory
from jlrun.runs.auto_dropout import strange_holes
from jlrun.runs.calibrated import calibrated
from jlrun.runs.fingerprints import trained_on_lines
from jlrun.runs.new_inputs import NewInputs, new_inputs
from jlrun.runs.predicting import (
    kept_intervals,
    missing_interval_lines,
    predict_rows,
    score_rows,
    written_columns,
)
from jlrun.runs.saved_model import SavedModel, load_saved_model
from jlrun.runs.saved_run import load_run


@dataclass(frozen=True)
class Asked:
    """What is wanted of predictions.

    Attributes:
        skip: leave out rows that can't be used.
        columns: of a table that go to the output.
        level: of the intervals of predicted numbers.
        every_class: probabilities of all classes instead of the predicted one alone.
        folder: that file names in a table are relative to; None: that of the table, or of the run.
        calibrated: probabilities at the temperature that was fitted to validation rows.
        tuned: decide by thresholds that were tuned on them, not by 0.5.
    """

    skip: bool = False
    columns: Sequence[str] = ()
    level: float = 0.95
    every_class: bool = True
    folder: Path | None = None
    calibrated: bool = False
    tuned: bool = False


@dataclass(frozen=True)
class NewPredictions:
    """Predictions of new rows.

    Attributes:
        columns: name -> a cell for each row: ``input``, its name; columns passed through;
            predictions (`jlrun.evaluation.prediction_columns`).
        lines: for the user, such as rows that are skipped.
        scores: task -> metric -> score, of tasks with labels.
    """

    columns: dict[str, Any]
    lines: Sequence[str]
    scores: dict[str, dict[str, float]]


def predict_new(run: Path, path: Path, asked: Asked) -> NewPredictions:
    """Predict the rows of a file or folder with the selected model of a run.

    Raises:
        UserError: if the run has no selected model, or rows can't be used.
    """
    settings, _ = load_run(run)
    saved = load_saved_model(run, settings)
    _check_tasks(run, saved)
    chosen = calibrated(run, saved.scored, asked.calibrated, asked.tuned)
    scored = chosen.scored
    intervals = kept_intervals(RunDirectory(run).checkpoints, scored, asked.level)
    given = (run, settings, saved, path, asked.skip, asked.columns, asked.folder)
    with new_inputs(*given) as inputs:
        holes = strange_holes(run, inputs.named.rows, tuple(saved.specs))
        found = predict_rows(saved, inputs.named, chosen)
        seen = _trained_on(run, inputs)
    predicted = written_columns(scored, found, intervals, asked.every_class)
    missing = missing_interval_lines(scored, intervals, asked.level)
    return NewPredictions(
        joined_columns(inputs.named.names, inputs.passed, predicted),
        [*holes, *inputs.lines, *missing, *seen],
        score_rows(scored, found, inputs.targets, intervals),
    )


def _trained_on(run: Path, inputs: NewInputs) -> list[str]:
    """Return a line on training rows of the run among the rows, if any row can be scored."""
    keys = inputs.keys() if any(bool(t.known.any()) for t in inputs.targets.values()) else None
    return [] if keys is None else trained_on_lines(run, keys, inputs.named.names)


def _check_tasks(run: Path, saved: SavedModel) -> None:
    """Check that the run learned tasks, and none whose predictions are maps."""
    if not saved.scored:
        message = "this run learned no task (pretraining.only); go on from it with source.run"
        raise UserError.of(str(run), message)
    dense = [o.spec.name for o in saved.scored if o.spec.task.dense]
    if dense:
        message = f"{', '.join(dense)}: maps do not fit in a table; load the run from Python"
        raise UserError.of("--output", message)


def joined_columns(
    names: Sequence[str], passed: Mapping[str, Sequence[str]], predicted: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the columns of the output; passed ones with a name of it get ``_given`` added."""
    taken = {"input", *predicted}
    own = {f"{name}_given" if name in taken else name: cells for name, cells in passed.items()}
    return {"input": names, **own, **predicted}
