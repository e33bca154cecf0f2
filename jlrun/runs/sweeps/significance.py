"""Significance of differences between variants of a sweep, paired over seeds.

A paired t-test of two variants over the seeds that both completed, two-sided; p-values are
corrected by Holm's step-down method over all comparisons of a table (Holm, "A Simple Sequentially
Rejective Multiple Test Procedure", Scand. J. Statistics 1979).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

from jlrun.runs.sweeps.records import Group

LEVEL = 0.05
LEAST_SEEDS = 3  # with two, a t-test has one degree of freedom and the differences no shape


def paired_p_value(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return the p-value of a paired t-test; None where it is not defined.

    It is not for few pairs, and for differences without any spread.
    """
    differences = [a - b for a, b in zip(first, second, strict=True)]
    if len(differences) < LEAST_SEEDS:
        return None
    mean, spread = fmean(differences), stdev(differences)
    # Rounding leaves a spread where there is none.
    if spread <= 1e-9 * max(map(abs, (*first, *second))):
        return None
    from scipy.stats import t

    statistic = mean / (spread / math.sqrt(len(differences)))
    return float(2 * t.sf(abs(statistic), len(differences) - 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number by Holm's method."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for place, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def differences(
    groups: Sequence[Group], names: Sequence[str]
) -> Mapping[tuple[int, str], float | None]:
    """Return (variant, score) -> adjusted p-value of its difference from the first variant.

    None where there is nothing to test. Variants of another problem are left out.
    """
    found: dict[tuple[int, str], float | None] = {}
    for i, group in enumerate(groups[1:], 1):
        if group.problem == groups[0].problem:
            for name in names:
                found[i, name] = _p_value(groups[0], group, name)
    tested = [(key, p) for key, p in found.items() if p is not None]
    adjusted = holm([p for _, p in tested])
    return found | {key: p for (key, _), p in zip(tested, adjusted, strict=True)}


def _p_value(first: Group, second: Group, name: str) -> float | None:
    one, other = _by_seed(first, name), _by_seed(second, name)
    seeds = sorted(one.keys() & other.keys())
    return paired_p_value([one[seed] for seed in seeds], [other[seed] for seed in seeds])


def _by_seed(group: Group, name: str) -> dict[int, float]:
    return {
        job.seed: job.scores[name]
        for job in group.jobs
        if job.seed is not None and name in job.scores
    }
