"""Paired differences of two runs over the test rows that both predict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from jlrun.errors import UserError
from jlrun.evaluation.bootstrap import critical, resampled, standard_error
from jlrun.evaluation.kept_predictions import PREDICTIONS, load_predictions
from jlrun.evaluation.weighted_scores import RowPredictions, weighted_scores
from jlrun.files.atomic import reading
from jlrun.files.run_directory import RunDirectory
from jlrun.runs import fingerprints
from jlrun.runs.saved_model import scored_tasks
from jlrun.strategies.gain import sign
from jlrun.tasks import Task, TaskSpec

Call = Literal["better", "worse", "no difference"]


@dataclass(frozen=True)
class PairedDifference:
    """Difference of a run from another in the main metric of a task.

    Attributes:
        run, against: numbers of the two.
        task, metric: what is compared.
        rows: number of test rows.
        difference: turned so that larger is better.
        interval: its 95 % interval over the test rows, for itself alone.
        call: with Bonferroni's correction over all differences that are shown.
    """

    run: int
    against: int
    task: str
    metric: str
    rows: int
    difference: float
    interval: tuple[float, float]
    call: Call

    def to_json(self) -> dict[str, Any]:
        """Return an entry of the comparison."""
        return asdict(self)


@dataclass(frozen=True)
class _Measured:
    """A difference before it is called: its standard error is known, not how many others are."""

    run: int
    spec: TaskSpec
    rows: int
    mean: float
    error: float


def paired_differences(directories: Sequence[Path]) -> tuple[list[PairedDifference], list[str]]:
    """Return the differences of each run from the first, and why some are missing.

    A bootstrap over the rows; other initial weights or another order of batches are no part of it.

    Args:
        directories: of runs.
    """
    measured, reasons = list[_Measured](), list[str]()
    first = _Tested.read(directories[0])
    for number, directory in enumerate(directories[1:], 1):
        other = _Tested.read(directory)
        for spec in other.tasks:
            with reading(RunDirectory(directory).checkpoints / PREDICTIONS):
                found = _measured(first, other, spec, number)
            if isinstance(found, _Measured):
                measured.append(found)
            elif found:
                reasons.append(f"{directory}, {spec.name}: {found}")
    return [_called(each, len(measured)) for each in measured], reasons


@dataclass(frozen=True)
class _Tested:
    """Test predictions of a run, and which rows of the data set they are, if that is known."""

    tasks: tuple[TaskSpec, ...]
    rows: dict[str, RowPredictions]
    places: np.ndarray | None

    @classmethod
    def read(cls, directory: Path) -> _Tested:
        try:
            tasks = scored_tasks(directory)
        except UserError:  # a cross-validation, or a run that was refused
            return cls((), {}, None)
        rows = load_predictions(RunDirectory(directory).checkpoints)
        known = fingerprints.read(directory) or {}
        data = known.get("target") or next(iter(known.values()), None)
        split = None if data is None else data.splits.get("test")
        return cls(tasks, rows, None if split is None else split.places)

    def kind_of(self, task: str) -> Task | None:
        """Return the task of a name; None if the run has none."""
        return next((spec.task for spec in self.tasks if spec.name == task), None)


def _measured(first: _Tested, other: _Tested, spec: TaskSpec, number: int) -> _Measured | str:
    """Return the difference in a task, or why there is none; nothing if it is no common task."""
    kind = first.kind_of(spec.name)
    if kind is None:
        return ""
    theirs, ours = first.rows.get(spec.name), other.rows.get(spec.name)
    if theirs is None or ours is None:
        return "its predictions of the test rows were not kept"
    if kind.primary != spec.task.primary:
        return f"the main metric is {spec.task.primary}, not {kind.primary}"
    if _moved(first.places, other.places) or not ours.same_rows_as(theirs):
        return "the test rows are not those of the first run"
    return _difference(spec, ours, theirs, number)


def _moved(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    """Return whether two test splits are known to hold other rows, or another order of them."""
    return one is not None and other is not None and not np.array_equal(one, other)


def _difference(
    spec: TaskSpec, ours: RowPredictions, theirs: RowPredictions, number: int
) -> _Measured | str:
    metric, turn = spec.task.primary, sign(spec.task.primary)
    pair, undefined = (ours, theirs), f"{metric} is not defined over its rows"
    functions = [f for rows in pair if (f := weighted_scores(spec.task, rows).get(metric))]
    draws = [d for rows in pair if (d := resampled(spec.task, rows, 0).get(metric)) is not None]
    if len(functions) < 2 or len(draws) < 2:
        return undefined
    ours_at, theirs_at = (float(function(np.ones((1, len(ours))))[0]) for function in functions)
    error = standard_error(draws[0] - draws[1], len(ours))
    if error is None:
        return undefined
    return _Measured(number, spec, len(ours), turn * (ours_at - theirs_at), error)


def _called(found: _Measured, count: int) -> PairedDifference:
    width = critical(found.rows) * found.error
    beyond = abs(found.mean) > critical(found.rows, count) * found.error
    call: Call = "no difference"
    if beyond:
        call = "better" if found.mean > 0 else "worse"
    ends = found.mean - width, found.mean + width
    name, metric = found.spec.name, found.spec.task.primary
    return PairedDifference(found.run, 0, name, metric, found.rows, found.mean, ends, call)
