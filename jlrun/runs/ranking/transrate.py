"""TransRate: how many bits of features their classes account for."""

# Z features of N rows, R(Z, ε) their coding rate at distortion ε

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from jlrun.runs.ranking.spectrum import Array, resolution


def transrate(
    features: NDArray[np.floating], labels: NDArray[np.integer], distortion: float = 1e-4
) -> float:
    """Return R(Z, ε) − R(Z, ε | Y) in nats, at least 0; larger is better.

    Huang et al., "Frustratingly Easy Transferability Estimation", ICML 2022, as in their listing.
    Differs from it in: classes count by their rows, which is the same where they are balanced and
    keeps the measure from going below 0 where they are not. ε is absolute: the measure grows with
    the scale of the features, so that networks of different normalisation compare badly.

    Args:
        features: Z ``(N, D)``.
        labels: int ``(N,)``.
        distortion: ε, more than 0.
    """
    z = features.astype(np.float64)
    z -= z.mean(axis=0)
    if np.sqrt((z**2).mean()) <= resolution(features):
        return 0.0  # constant but for rounding
    classes = [z[labels == label] for label in np.unique(labels)]
    within = sum(len(part) * coding_rate(part, distortion) for part in classes) / len(z)
    return coding_rate(z, distortion) - within


def coding_rate(z: Array, distortion: float) -> float:
    """Return R(Z, ε) = ½ log det(I + ZᵀZ / (N ε)) of rows ``(N, D)``, in nats.

    Ma et al., "Segmentation of Multivariate Mixed Data via Lossy Data Coding and Compression",
    IEEE TPAMI 29, 2007.
    """
    # det(I + ZᵀZ) = det(I + ZZᵀ): the smaller of the two is as good.
    gram = z.T @ z if z.shape[1] <= z.shape[0] else z @ z.T
    _, log_det = np.linalg.slogdet(np.eye(len(gram)) + gram / (len(z) * distortion))
    return float(log_det) / 2
