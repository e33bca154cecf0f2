"""The mean rank of variants over tasks."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean


def mean_ranks(scores: Sequence[Sequence[float]]) -> list[float]:
    """Return the mean over T tasks of the place of each of V variants; 1 is best in all tasks.

    Variants that are equal on a task share the mean of the places that they take.

    Args:
        scores: V rows of T scores, larger is better.
    """
    by_task = [_ranks(column) for column in zip(*scores, strict=True)]
    return [fmean(ranks) for ranks in zip(*by_task, strict=True)]


def _ranks(column: Sequence[float]) -> list[float]:
    better = [sum(other > score for other in column) for score in column]
    equal = [column.count(score) for score in column]
    return [above + (same + 1) / 2 for above, same in zip(better, equal, strict=True)]
