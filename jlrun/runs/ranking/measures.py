"""The measures of transferability by name, and which of them fit a task and a candidate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from jlrun.runs.ranking import TITLES
from jlrun.runs.ranking.h_score import h_scores
from jlrun.runs.ranking.label_measures import leep, nce, one_hot
from jlrun.runs.ranking.logme import logme
from jlrun.runs.ranking.transrate import transrate
from jlrun.tasks import Multilabel, Regression, Task

if TYPE_CHECKING:
    from jlrun.runs.ranking.embedding import Embedding


@dataclass(frozen=True)
class Scores:
    """The scores of a candidate on a task; larger is better.

    Attributes:
        values: measure -> score; None where it does not apply.
        heads: measure -> the candidate's head whose classes it is about: that which scores best.
    """

    values: dict[str, float | None]
    heads: dict[str, str]


def measure(embedding: Embedding, column: NDArray, task: Task) -> Scores:
    """Return all scores that fit the task.

    Args:
        embedding: of the labelled rows.
        column: their targets, ``(N,)``, or ``(N, C)`` of a multilabel task.
        task: its kind.
    """
    values: dict[str, float | None] = dict.fromkeys(TITLES)
    heads: dict[str, str] = {}
    features = embedding.features
    values["logme"] = logme(features, _columns(column, task))
    if isinstance(task, Multilabel | Regression):
        return Scores(values, heads)
    values["h_score"], values["shrunk_h_score"] = h_scores(features, column)
    values["transrate"] = transrate(features, column)
    for head, found in embedding.probabilities.items():
        by_head = {"leep": leep(found, column), "nce": nce(found.argmax(axis=1), column)}
        for name, value in by_head.items():
            best = values[name]
            if best is None or value > best:
                values[name], heads[name] = value, head
    return Scores(values, heads)


def _columns(column: NDArray, task: Task) -> NDArray[np.floating]:
    """Return what LogME models, ``(N, K)``; labels that no row has are left out."""
    if isinstance(task, Regression):
        return column[:, None]
    if isinstance(task, Multilabel):
        return column[:, column.any(axis=0)]
    return one_hot(column)
