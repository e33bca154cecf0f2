"""Predictions of a table, images or arrays by a saved run, as columns."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jlrun.config.folds import folded, num_folds
from jlrun.data.specs import Spec
from jlrun.errors import UserError
from jlrun.evaluation.scores import Prediction, mean_prediction
from jlrun.files.run_directory import RunDirectory
from jlrun.runs.auto_dropout import strange_holes
from jlrun.runs.calibrated import Calibrated, calibrated
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
from jlrun.runs.saved_run import load_any_config, load_run
from jlrun.runs.settings import RunSettings
from jlrun.tasks.objective import Objective


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

    Of a cross-validation, with the models of all folds: the mean of their probabilities, or of
    their numbers; intervals from the validation rows of all of them.

    Raises:
        UserError: if the run has no selected model, or rows can't be used.
    """
    return LoadedRun.of(run, asked).predict(path, asked)


@dataclass(frozen=True)
class LoadedRun:
    """Models of a run, to predict with more than once: of a cross-validation those of all folds.

    Attributes:
        members: at least one.
    """

    members: Sequence[_Member]

    @classmethod
    def of(cls, run: Path, asked: Asked) -> LoadedRun:
        """Return the models of a run.

        Raises:
            UserError: if it has no selected model, or nothing of what is asked for.
        """
        folders = model_runs(run)
        if asked.tuned and len(folders) > 1:
            first = shlex.quote(str(folders[0]))
            message = f"each fold has thresholds of its own; name one of them, such as {first}"
            raise UserError.of("--tuned", message)
        return cls([_member(folder, asked) for folder in folders])

    @property
    def specs(self) -> Mapping[str, Spec]:
        """Modality -> what the models take."""
        return self.members[0].saved.specs

    @property
    def takes_table(self) -> bool:
        """Whether the run learned from a table."""
        return RunDirectory(self.members[0].run).table.is_file()

    def predict(self, path: Path, asked: Asked) -> NewPredictions:
        """Return predictions as `predict_new` does; ``calibrated`` and ``tuned`` of ``asked`` are
        those that the models were loaded with.

        Raises:
            UserError: if rows can't be used.
        """
        parts = [_by_one(member, path, asked) for member in self.members]
        _check_alike(parts)
        scored, inputs = parts[0].scored, parts[0].inputs
        found = {
            o.spec.name: mean_prediction([part.found[o.spec.name] for part in parts])
            for o in scored
        }
        folders = [RunDirectory(member.run).checkpoints for member in self.members]
        intervals = kept_intervals(folders, scored, asked.level)
        lines = [line for part in parts for line in part.lines]
        pairs = zip(self.members, parts, strict=True)
        keys = {m.run: p.keys for m, p in pairs if p.keys is not None}
        lines += trained_on_lines(keys, inputs.named.names)
        return NewPredictions(
            joined_columns(
                inputs.named.names,
                inputs.passed,
                written_columns(scored, found, intervals, asked.every_class),
            ),
            [*dict.fromkeys(lines), *missing_interval_lines(scored, intervals, asked.level)],
            score_rows(scored, found, inputs.targets, intervals),
        )


def model_runs(run: Path) -> tuple[Path, ...]:
    """Return the directories whose models predict: that of a run, or those of its folds.

    Raises:
        UserError: if there is no run.
    """
    config = load_any_config(run)[0]
    stream = folded(config)
    if stream is None:
        return (run,)
    return tuple(RunDirectory(run).fold(i) for i in range(num_folds(config, stream)))


@dataclass(frozen=True)
class _Part:
    """What one model predicts.

    Attributes:
        scored: its objectives.
        inputs: the rows as it takes them.
        found: task -> predictions.
        lines: for the user.
        keys: of the rows as the run's fingerprint has them; None if no row can be scored.
    """

    scored: Sequence[Objective]
    inputs: NewInputs
    found: Mapping[str, Prediction]
    lines: Sequence[str]
    keys: np.ndarray | None


@dataclass(frozen=True)
class _Member:
    run: Path
    settings: RunSettings
    saved: SavedModel
    chosen: Calibrated


def _member(run: Path, asked: Asked) -> _Member:
    settings, _ = load_run(run)
    saved = load_saved_model(run, settings)
    _check_tasks(run, saved)
    return _Member(
        run, settings, saved, calibrated(run, saved.scored, asked.calibrated, asked.tuned)
    )


def _by_one(member: _Member, path: Path, asked: Asked) -> _Part:
    run, saved, chosen = member.run, member.saved, member.chosen
    given = (run, member.settings, saved, path, asked.skip, asked.columns, asked.folder)
    with new_inputs(*given) as inputs:
        holes = strange_holes(run, inputs.named.rows, tuple(saved.specs))
        found = predict_rows(saved, inputs.named, chosen)
        labelled = any(bool(each.known.any()) for each in inputs.targets.values())
        keys = inputs.keys() if labelled else None
    return _Part(chosen.scored, inputs, found, [*holes, *inputs.lines], keys)


def _check_alike(parts: Sequence[_Part]) -> None:
    """Check that all models predict the same classes of the same rows."""
    first = parts[0]
    for number, part in enumerate(parts[1:], 1):
        if list(part.inputs.named.names) != list(first.inputs.named.names):
            message = f"fold {number} can use other rows than fold 0; leave those of either out"
            raise UserError.of("--input", message)
        classes = [[o.spec.classes for o in each.scored] for each in (first, part)]
        if classes[0] != classes[1]:
            message = f"fold {number} has other classes than fold 0; name one of the folds"
            raise UserError.of("RUN", message)


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
