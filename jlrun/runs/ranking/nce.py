"""NCE: what the class that a source model decides on leaves unknown of the target's label."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from jlrun.runs.ranking.labels import one_hot


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
