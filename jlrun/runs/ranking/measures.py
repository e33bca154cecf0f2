"""Measures of transferability: which fit a task and a candidate; LEEP and NCE of predictions."""

# θ(x) probabilities of the Z source classes, y target labels, P̂ empirical distributions

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from jlrun.runs.ranking import TITLES
from jlrun.runs.ranking.feature_measures import h_scores, logme, one_hot, transrate
from jlrun.tasks import Multilabel, Regression, Task

if TYPE_CHECKING:
    from jlrun.runs.ranking.candidates import Embedding


def leep(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Return the log expected empirical prediction, at most 0; larger is better.

    Eq. (2) of Nguyen et al., "LEEP: A New Measure to Evaluate Transferability of Learned
    Representations", ICML 2020: (1/N) Σ_i log Σ_z P̂(y_i|z) θ(x_i)_z, in nats. Differs from it in:
    rows of θ are divided by their sum, which rounding moves off 1.

    Args:
        probabilities: θ ``(N, Z)``, of the source model on the target's rows.
        labels: y, int ``(N,)``.
    """
    theta = probabilities.astype(np.float64)
    theta /= theta.sum(axis=1, keepdims=True)
    y = one_hot(labels)
    joint = y.T @ theta / len(theta)  # P̂(y, z), (K, Z)
    marginal = joint.sum(axis=0)
    # A source class that no row has any probability of contributes nothing, whatever its P̂(y|z).
    conditional = joint / np.where(marginal > 0, marginal, 1.0)
    expected = ((y @ conditional) * theta).sum(axis=1)
    return float(np.log(expected).mean())


def nce(source_labels: NDArray[np.integer], labels: NDArray[np.integer]) -> float:
    """Return the negative conditional entropy −H(Y|Z) in nats, at most 0; larger is better.

    Tran et al., "Transferability and Hardness of Supervised Classification Tasks", ICCV 2019.
    Differs from it in: the source labels z are those that the source model decides on, as Nguyen et
    al., ICML 2020, use the measure, since target rows have no others.

    Args:
        source_labels: z, int ``(N,)``.
        labels: y, int ``(N,)``.
    """
    joint = one_hot(labels).T @ one_hot(source_labels) / len(labels)  # P̂(y, z), (K, Z)
    conditional = joint / joint.sum(axis=0)
    seen = joint > 0  # 0 log 0 = 0
    return float((joint[seen] * np.log(conditional[seen])).sum())


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
