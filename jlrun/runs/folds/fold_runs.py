"""Runs of the folds of a cross-validation, once they are complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from jlrun.errors import UserError
from jlrun.files.run_directory import RunDirectory
from jlrun.reporting.result import read_result
from jlrun.runs import fingerprints
from jlrun.runs.fingerprints.fingerprint import SplitPrint
from jlrun.runs.saved_model import scored_tasks
from jlrun.tasks import TaskSpec

# Task -> metric -> score of each fold that has it.
Columns = Mapping[str, Mapping[str, Sequence[float]]]


@dataclass(frozen=True)
class FoldRun:
    """Complete run of a fold.

    Attributes:
        number: from 0, through all repeats.
        directory: of the run.
        result: content of ``result.json``.
        splits: ``train``, ``val``, ``test`` -> their rows.
    """

    number: int
    directory: Path
    result: Mapping[str, Any]
    splits: Mapping[str, SplitPrint]

    @classmethod
    def read(cls, directory: Path, number: int, stream: str) -> FoldRun:
        """Return the run of a fold.

        Raises:
            UserError: if files of it are damaged.
        """
        result, known = read_result(directory), fingerprints.read(directory)
        if result is None or known is None or stream not in known:
            raise UserError.of(str(directory), "files of this fold are missing; delete its folder")
        return cls(number, directory, result, known[stream].splits)

    @property
    def num_rows(self) -> dict[str, int]:
        """Split -> number of rows."""
        return {kind: len(self.splits[kind].keys) for kind in ("train", "val", "test")}

    @property
    def tasks(self) -> tuple[TaskSpec, ...]:
        """Tasks that the run is about."""
        return scored_tasks(self.directory)


def overlap_ratio(runs: Sequence[FoldRun]) -> float:
    """Return ρ, test rows for each row that is learned from or selected by, in the mean."""
    counts = [run.num_rows for run in runs]
    return fmean(n["test"] / (n["train"] + n["val"]) for n in counts)


def columns(tables: Sequence[Mapping[str, Mapping[str, Any]]]) -> Columns:
    """Return the scores of several tables side by side; those that are no numbers are left out."""
    found: dict[str, dict[str, list[float]]] = {}
    for table in tables:
        for task, scores in table.items():
            for metric, score in scores.items():
                if isinstance(score, int | float):
                    found.setdefault(task, {}).setdefault(metric, []).append(float(score))
    return found


def check_same_data(runs: Sequence[FoldRun], directory: Path) -> None:
    """Check that all folds were made from the same rows.

    Args:
        runs: of all folds.
        directory: of the cross-validation.

    Raises:
        UserError: if the data changed in between.
    """
    splits = [run.splits[kind] for run in runs for kind in ("train", "test")]
    places = np.concatenate([split.places.view(np.uint64) for split in splits])
    keys = np.concatenate([split.keys for split in splits])
    num_pairs = len(np.unique(np.stack([places, keys]), axis=1).T)
    if num_pairs > len(np.unique(places)):
        message = (
            "the data changed while the folds were trained; train them anew, in another folder"
        )
        raise UserError.of(str(directory), message)


def run_of(directory: Path, number: int, stream: str) -> FoldRun:
    """Return the run of a fold of the cross-validation in ``directory``."""
    return FoldRun.read(RunDirectory(directory).fold(number), number, stream)
