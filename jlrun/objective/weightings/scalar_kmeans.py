"""k-means of scalars, solved exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def scalar_kmeans(values: Array, num_groups: int) -> Array:
    """Return each value's group mean ``(A,)`` under the grouping with the least squared error.

    The groups of an optimum are contiguous in the order of the values, which dynamic programming
    over the ends of groups makes use of: Wang & Song, "Ckmeans.1d.dp: Optimal k-means Clustering in
    One Dimension by Dynamic Programming", The R Journal 2011. O(k A²). Differs from it in: nothing.

    Args:
        values: ``(A,)``, at least one.
        num_groups: k; with at least A groups each value is its own.
    """
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    errors = _squared_errors(ordered)
    # best[j] is the least error of the first j values, starts[-1][j] where their last group begins.
    best, starts = errors[0], []
    for _ in range(min(num_groups, len(values)) - 1):
        candidates = best[:, None] + errors
        starts.append(candidates.argmin(axis=0))
        best = candidates.min(axis=0)
    means = np.empty_like(ordered)
    end = len(values)
    for start in reversed(starts):
        begin = int(start[end])
        means[begin:end] = ordered[begin:end].sum() / max(1, end - begin)
        end = begin
    means[:end] = ordered[:end].sum() / max(1, end)
    result = np.empty_like(means)
    result[order] = means
    return result


def _squared_errors(ordered: Array) -> Array:
    """Return the squared error of each run ``ordered[i:j]`` about its mean, ``(A + 1, A + 1)``.

    Infinite for empty runs. Updated value by value (Welford, 1962): differences of sums of squares
    would lose the small values beside the large ones.
    """
    count = len(ordered)
    errors = np.full((count + 1, count + 1), np.inf)
    mean, error = np.zeros(count), np.zeros(count)
    for j, value in enumerate(ordered):
        size = np.arange(j, -1, -1)  # values already in the runs that begin at 0 … j
        off = value - mean[: j + 1]
        mean[: j + 1] += off / (size + 1)
        error[: j + 1] += off * off * size / (size + 1)
        errors[: j + 1, j + 1] = error[: j + 1]
    return errors
