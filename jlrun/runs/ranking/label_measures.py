"""LEEP and NCE: how well the classes of a source model predict the labels of the target."""

# θ(x) probabilities of the Z source classes, y target labels, P̂ empirical distributions

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def one_hot(labels: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return ``(N, K)`` of 0 and 1 for labels ``(N,)``: a column for each of the K that occur."""
    classes, positions = np.unique(labels, return_inverse=True)
    return np.eye(len(classes))[positions]


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
