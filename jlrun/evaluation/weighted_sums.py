"""Sums over rows that count several times or not at all, for all resamples at once."""

# N rows, R resamples;  w (R, N) how often each row counts

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Array = np.ndarray
Weighted = Callable[[Array], Array]  # w -> the value of a metric in each resample, (R,)


def tied(x: Array) -> tuple[Array, Array]:
    """Return the ascending order and where each group of equal values begins in it."""
    order = x.argsort(kind="stable")
    ordered = x[order]
    return order, np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))


def ratio(above: Array, below: Array) -> Array:
    """Return the quotients, NaN where the divisor is 0."""
    return np.divide(above, below, out=np.full(below.shape, np.nan), where=below != 0)


def mean(values: Array) -> Array:
    """Return the mean of the columns that are defined, NaN without any."""
    known = ~np.isnan(values)
    return ratio(np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1).astype(float))


def weighted_mean(values: Array, weights: Array) -> Array:
    """Return the weighted mean of the columns; what is not defined counts as 0."""
    return ratio((np.nan_to_num(values) * weights).sum(axis=1), weights.sum(axis=1))
