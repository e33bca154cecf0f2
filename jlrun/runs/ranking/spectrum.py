"""The directions that a matrix of features spans, without those that are rounding errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Spectrum:
    """The R directions that N rows of features span.

    Attributes:
        directions: U ``(N, R)``, orthonormal columns: the left singular vectors.
        energies: σ² ``(R,)``, the squared singular values, all above zero.
    """

    directions: Array
    energies: Array


def spectrum(features: NDArray[np.floating], *, centred: bool) -> Spectrum:
    """Return the spectrum of features ``(N, D)``, in float64.

    Directions within the `resolution` of the features are left out: columns that are constant but
    for rounding, or copies of others, span nothing.

    Args:
        features: finite, N and D at least 1.
        centred: subtract the mean of each column first.
    """
    x = features.astype(np.float64)
    if centred:
        x -= x.mean(axis=0)
    left, values, _ = np.linalg.svd(x, full_matrices=False)
    # The largest singular value of N × D independent errors of size 1 is about √N + √D.
    kept = values > resolution(features) * (np.sqrt(len(x)) + np.sqrt(x.shape[1]))
    return Spectrum(left[:, kept], values[kept] ** 2)


def resolution(features: NDArray[np.floating]) -> float:
    """Return the size of differences that are no more than rounding in the features' own dtype."""
    size = np.sqrt((features.astype(np.float64) ** 2).mean())
    return float(10 * np.finfo(features.dtype).eps * size)
