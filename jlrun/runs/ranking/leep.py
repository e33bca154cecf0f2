"""LEEP: how well the classes that a source model predicts tell the target's labels."""

# θ(x) probabilities of the Z source classes, y target labels, P̂ empirical distributions

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from jlrun.runs.ranking.labels import one_hot


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
