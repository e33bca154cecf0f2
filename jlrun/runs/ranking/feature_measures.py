"""Measures of features against labels: H-score, TransRate and LogME."""

# f features, Σ_f their covariance, Σ_z that of their class means, α the shrinkage of Σ_f
# Z features of N rows, R(Z, ε) their coding rate at distortion ε
# F features (N, D) = U diag(σ) Vᵀ, y a column of targets, z = Uᵀy,
# α precision of the weights, β precision of the noise, t = α / β

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
# y that features explain without any error would have an infinite evidence.
SMALLEST_NOISE = 1e-12
# Of t, relative to the largest σ².
RANGE = (1e-14, 1e14)
MOST_UPDATES = 300
TOLERANCE = 1e-10


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


def logme(features: NDArray[np.floating], columns: NDArray[np.floating]) -> float:
    """Return the log maximum evidence per row, in nats, mean over target columns; larger is better.

    Algorithm 1 of You et al., "LogME: Practical Assessment of Pre-trained Models for Transfer
    Learning", ICML 2021: max over α and β of log N(y; 0, I/β + F Fᵀ/α) / N. Differs from it in: the
    fixed-point iteration starts at the best α/β of a grid, as there may be several maxima, and the
    best evidence on its way counts; the variance of the noise is at least 1e-12 of the mean of y².

    Args:
        features: F ``(N, D)``, finite.
        columns: ``(N, K)``: one-hot classes, labels that are 0 or 1, or values.

    Raises:
        ValueError: if a column is all zeros, of which there is no evidence.
    """
    if not np.all(np.any(columns != 0, axis=0)):
        raise ValueError("a target column is all zeros: leave it out")
    y = columns.astype(np.float64)
    found = spectrum(features, centred=False)
    z = found.directions.T @ y
    problem = _Evidence(
        energies=found.energies,
        seen=z**2,
        unseen=((y - found.directions @ z) ** 2).sum(axis=0),
        count=len(y),
    )
    return float(problem.maximum().mean()) / len(y)


@dataclass(frozen=True)
class _Evidence:
    """The evidence of K target columns, each as a function of its own t = α/β; β is optimal.

    Attributes:
        energies: σ² ``(R,)``.
        seen: z² ``(R, K)``.
        unseen: ``(K,)``, squared norm of the part of y outside the span of F.
        count: N.
    """

    energies: Array
    seen: Array
    unseen: Array
    count: int

    def maximum(self) -> Array:
        """Return the largest evidence of each column, ``(K,)``."""
        if not len(self.energies):
            return self.at(np.ones_like(self.unseen))
        low, high = (bound * self.energies.max() for bound in RANGE)
        grid = np.geomspace(low, high, 57)
        values = np.stack([self.at(np.full_like(self.unseen, t)) for t in grid])
        best, t = values.max(axis=0), grid[values.argmax(axis=0)]
        for _ in range(MOST_UPDATES):
            before, t = t, np.clip(self.update(t), low, high)
            best = np.maximum(best, self.at(t))
            if np.all(np.abs(t - before) <= TOLERANCE * before):
                break
        return best

    def at(self, t: Array) -> Array:
        """Return the log evidence at t ``(K,)``, with the β that is best there."""
        ratio = self.energies[:, None] / t
        explained = self.seen.sum(axis=0) + self.unseen
        quadratic = (self.seen / (1 + ratio)).sum(axis=0) + self.unseen
        variance = np.maximum(quadratic, SMALLEST_NOISE * explained) / self.count
        noise = self.count * (np.log(2 * np.pi * variance) + quadratic / (self.count * variance))
        return -(noise + np.log1p(ratio).sum(axis=0)) / 2

    def update(self, t: Array) -> Array:
        """Return the next t: α = γ / ‖m‖² over β = (N − γ) / ‖Fm − y‖², with γ and m of the old."""
        total = self.energies[:, None] + t
        gamma = (self.energies[:, None] / total).sum(axis=0)
        weights = (self.energies[:, None] * self.seen / total**2).sum(axis=0)
        residual = (self.seen * (t / total) ** 2).sum(axis=0) + self.unseen
        # Where F says nothing of y the weights vanish, and t grows to the end of its range.
        return gamma * residual / np.maximum(weights * (self.count - gamma), np.finfo(float).tiny)


def one_hot(labels: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return ``(N, K)`` of 0 and 1 for labels ``(N,)``: a column for each of the K that occur."""
    classes, positions = np.unique(labels, return_inverse=True)
    return np.eye(len(classes))[positions]
