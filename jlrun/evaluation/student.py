"""Quantiles of Student's t, without importing SciPy's functions: half a second."""

# n degrees of freedom;  t = √n tan θ

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np

_NODES = 64
_SERIES = (1.0, -1 / 8, 1 / 128, 5 / 1024, -21 / 32768, -399 / 262144, 869 / 4194304)
_LARGE = 40.0  # from here on the series is exact in float64


@lru_cache(maxsize=1024)
def two_sided(n: int, share: float) -> float:
    """Return the t for which P(|T| > t) = ``share``, to 12 digits for 0.001 or more.

    With t = √n tan θ, P(|T| < t) is the share of ∫ cosⁿ⁻¹ from 0 to θ in that from 0 to π/2
    (Abramowitz & Stegun, "Handbook of Mathematical Functions", 1964, 26.7.1). Newton's method meets
    it from below: the integral is concave in θ.

    Args:
        n: degrees of freedom, at least 1.
        share: of both tails, in (0, 1).
    """
    whole = math.sqrt(math.pi) / 2 / _gamma_ratio(n / 2)
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    theta = math.atan(NormalDist().inv_cdf(1 - share / 2) / math.sqrt(n))
    for _ in range(50):
        angles = theta / 2 * (1 + nodes)
        part = float(theta / 2 * (weights * _power_of_cos(angles, n - 1)).sum())
        step = ((1 - share) * whole - part) / float(_power_of_cos(np.array(theta), n - 1))
        theta += step
        if step <= 1e-15 * theta:
            break
    return math.sqrt(n) * math.tan(theta)


def _power_of_cos(angles: np.ndarray, power: int) -> np.ndarray:
    """Return cosᵖ, also where the cosine is almost 1 and p large."""
    return np.exp(power / 2 * np.log1p(-(np.sin(angles) ** 2)))


def _gamma_ratio(x: float) -> float:
    """Return Γ(x + ½) / Γ(x)."""
    factor = 1.0
    while x < _LARGE:  # Γ(x + 1) = x Γ(x)
        factor *= x / (x + 0.5)
        x += 1
    return factor * math.sqrt(x) * sum(c / x**k for k, c in enumerate(_SERIES))
