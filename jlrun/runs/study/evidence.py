"""Evidence of a study: test predictions of its runs, with the rows that they are about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from jlrun.evaluation.kept_predictions import load_positions, load_predictions
from jlrun.evaluation.weighted_scores import RowPredictions, Weighted, weighted_scores
from jlrun.files.run_directory import RunDirectory
from jlrun.runs.fingerprints import read as read_fingerprint
from jlrun.tasks import Task


@dataclass(frozen=True)
class Predicted:
    """Test predictions of one task by one run.

    Attributes:
        rows: predictions and targets of N rows.
        places: which rows of the data set they are, int64 ``(N,)``; None: not known.
    """

    rows: RowPredictions
    places: np.ndarray | None

    def metric(self, task: Task) -> Weighted | None:
        """Return the task's main metric as a function of how often each row counts."""
        return weighted_scores(task, self.rows).get(task.primary)


@dataclass(frozen=True)
class Evidence:
    """Predictions of all finished cells.

    Attributes:
        runs: folder of the cells.
        tasks: name -> task.
        completed: names of the finished cells.
    """

    runs: Path
    tasks: Mapping[str, Task]
    completed: frozenset[str]
    _read: dict[str, dict[str, Predicted]] = field(default_factory=dict)

    def of(self, arm: str, seed: int, task: str) -> Predicted | None:
        """Return what the run of an arm predicts for a task; None if there is no such run."""
        name = f"{arm}/seed{seed}"
        if name not in self.completed:
            return None
        if name not in self._read:
            self._read[name] = _predictions(self.runs / name)
        return self._read[name].get(task)


def _predictions(directory: Path) -> dict[str, Predicted]:
    places, folder = _places(directory), RunDirectory(directory).checkpoints
    found = load_predictions(folder)
    positions = load_positions(folder) if found else {}
    return {
        task: Predicted(rows, None if places is None else places[positions[task].numpy()])
        for task, rows in found.items()
    }


def _places(directory: Path) -> np.ndarray | None:
    """Return which rows of the data set the test split holds, in its order."""
    fingerprint = read_fingerprint(directory)
    if fingerprint is None:
        return None
    data = fingerprint.get("target") or next(iter(fingerprint.values()))
    return data.splits["test"].places if "test" in data.splits else None


def ensemble(members: tuple[RowPredictions, ...]) -> RowPredictions:
    """Return the mean of the predictions of several models on the same rows."""
    first = members[0]
    total = sum((each.probabilities for each in members[1:]), first.probabilities)
    return RowPredictions(total / len(members), first.target)
