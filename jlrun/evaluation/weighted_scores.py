"""Scores of rows that count several times or not at all: all resamples of a bootstrap at once."""

# N rows, C classes or labels, R resamples;  w (R, N) how often each row counts

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from jlrun.evaluation.weighted_classes import mean_auroc, of_classes, of_labels
from jlrun.evaluation.weighted_maps import of_angles, of_depths, of_segments
from jlrun.evaluation.weighted_numbers import of_grades, of_numbers
from jlrun.evaluation.weighted_sums import Array, Weighted
from jlrun.tasks import (
    Binary,
    Depth,
    Multiclass,
    Multilabel,
    Ordinal,
    Regression,
    Segmentation,
    SurfaceNormals,
    Task,
)


@dataclass(frozen=True)
class RowPredictions:
    """Predictions of the labelled test rows of a task, in the order of the rows.

    Attributes:
        probabilities: as `Task.probabilities`, ``(N, C)``; values ``(N, 1)`` in regression; of
            tasks with maps `Task.image_sums`, ``(N, S)``.
        target: ``(N,)``, of labels ``(N, C)``; of maps their sums ``(N,)``.
    """

    probabilities: Tensor
    target: Tensor

    def __len__(self) -> int:
        return len(self.target)

    def same_rows_as(self, other: RowPredictions) -> bool:
        """Whether both are about the same rows, as far as the targets show."""
        return self.target.shape == other.target.shape and torch.equal(self.target, other.target)


def weighted_scores(task: Task, rows: RowPredictions) -> Mapping[str, Weighted]:
    """Return metric -> the function of ``w`` that gives its value in each resample, ``(R,)``.

    With weights of 1 they are the task's metrics (a median of angles up to a small part of a
    degree). A value is NaN where a resample defines none, as the AUROC without a row of either
    kind. Kinds of task that jlrun does not know, and predictions that hold a NaN, have none.
    """
    p, y = rows.probabilities.double().numpy(), rows.target.numpy()
    if not len(y) or np.isnan(p).any():
        return {}
    own = task.weighted_scores(p, y)
    if own is not None:
        return own
    match task:
        case Segmentation():
            return of_segments(p)
        case Depth():
            return of_depths(p)
        case SurfaceNormals():
            return of_angles(p)
        case Regression():
            return of_numbers(p[:, 0], y.astype(float))
        case Multiclass() | Binary() | Ordinal() | Multilabel():
            return _of_decisions(task, rows, p, y)
    return {}


def _of_decisions(
    task: Multiclass | Binary | Ordinal | Multilabel, rows: RowPredictions, p: Array, y: Array
) -> dict[str, Weighted]:
    """Return the scores of the classes or labels that the task decides for."""
    decided = task.decide(rows.probabilities.double()).numpy()
    if isinstance(task, Multilabel):
        occurring = (y > 0.5).astype(float)
        return {**of_labels(decided, occurring), "auroc": mean_auroc(p, occurring)}
    classes = np.eye(p.shape[1])
    predicted, occurring = classes[decided], classes[y.astype(np.int64)]
    scores = {**of_classes(predicted, occurring), "auroc": mean_auroc(p, occurring)}
    return scores | of_grades(decided, y) if isinstance(task, Ordinal) else scores
