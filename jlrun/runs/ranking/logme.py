"""LogME: the evidence of a Bayesian linear model of the target on features."""

# F features (N, D) = U diag(σ) Vᵀ, y a column of targets, z = Uᵀy,
# α precision of the weights, β precision of the noise, t = α / β

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jlrun.runs.ranking.spectrum import Array, spectrum

# y that features explain without any error would have an infinite evidence.
SMALLEST_NOISE = 1e-12
# Of t, relative to the largest σ².
RANGE = (1e-14, 1e14)
MOST_UPDATES = 300
TOLERANCE = 1e-10


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
