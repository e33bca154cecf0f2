"""H-score: how much of the variance of features lies between classes."""

# f features, Σ_f their covariance, Σ_z that of their class means, α the shrinkage of Σ_f

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jlrun.runs.ranking.label_measures import one_hot
from jlrun.runs.ranking.spectrum import Array, spectrum


class HScores(NamedTuple):
    """Two forms of the H-score, each from 0 to K − 1.

    Attributes:
        plain: tr(Σ_f⁻¹ Σ_z). With as many features as rows it is K − 1 whatever they are.
        shrunk: tr(Σ_α⁻¹ (1 − α) Σ_z), which stays informative where rows are few.
    """

    plain: float
    shrunk: float


def h_scores(features: NDArray[np.floating], labels: NDArray[np.integer]) -> HScores:
    """Return the H-score and its shrunk form; larger is better.

    Bao et al., "An Information-Theoretic Approach to Transferability in Task Transfer Learning",
    ICIP 2019. Differs from it in: the inverse is the pseudo-inverse, so that redundant features are
    allowed. Ibrahim et al., "Newer is not always better: Rethinking transferability metrics, their
    peculiarities, stability and performance", ECML PKDD 2022, for the shrunk form, where Σ_α is the
    estimate of Ledoit and Wolf, (1 − α) Σ_f + α (tr Σ_f / D) I. Differs from it in: nothing.

    Args:
        features: f ``(N, D)``.
        labels: int ``(N,)``, of K classes.
    """
    found = spectrum(features, centred=True)
    y = one_hot(labels)
    sums = y.T @ found.directions  # (K, R)
    # Of each principal axis, the share of its variance that lies between classes.
    between = (sums**2 / y.sum(axis=0)[:, None]).sum(axis=0)
    if not len(between):
        return HScores(0.0, 0.0)
    variances = found.energies / len(labels)
    alpha = ledoit_wolf_shrinkage(features, variances)
    kept, floor = (1 - alpha) * variances, alpha * variances.sum() / features.shape[1]
    return HScores(float(between.sum()), float((between * kept / (kept + floor)).sum()))


def ledoit_wolf_shrinkage(features: NDArray[np.floating], variances: Array) -> float:
    """Return the share α in [0, 1] of the scaled identity in a covariance estimate.

    Section 3 of Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance
    matrices", Journal of Multivariate Analysis 88, 2004.

    Args:
        features: ``(N, D)``.
        variances: the eigenvalues of their covariance (divided by N) that are not zero.
    """
    count, width = features.shape
    x = features.astype(np.float64)
    squared_norms = ((x - x.mean(axis=0)) ** 2).sum(axis=1)
    size = (variances**2).sum()
    distance = size - variances.sum() ** 2 / width  # of Σ_f from the scaled identity
    error = ((squared_norms**2).mean() - size) / count  # of Σ_f as an estimate
    return float(np.clip(error / distance, 0.0, 1.0)) if distance > 0 and error > 0 else 0.0
