"""Classes as the measures take them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def one_hot(labels: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return ``(N, K)`` of 0 and 1 for labels ``(N,)``: a column for each of the K that occur."""
    classes, positions = np.unique(labels, return_inverse=True)
    return np.eye(len(classes))[positions]
