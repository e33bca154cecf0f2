"""Orders of variants over tasks: Pareto fronts, the space they dominate, and mean ranks.

P points, T coordinates; larger is better.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

Point = Sequence[float]


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


def nondominated(points: Sequence[Point]) -> list[bool]:
    """Return for each point whether none is at least as good in all coordinates and better in one.

    Equal points do not dominate each other.
    """
    return [not any(_dominates(other, point) for other in points) for point in points]


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """Return the volume between ``reference`` and the points: of all that some point dominates.

    Coordinates below those of the reference add nothing. Exact, by exclusive contributions: a point
    adds its box without what the boxes of the points after it cover of it (While, Bradstreet and
    Barone, "A Fast Way of Calculating Exact Hypervolumes", IEEE Trans. Evolutionary Computation
    2012, algorithm 1). The time grows exponentially with T: fit for a few tasks.
    """
    boxes = [tuple(x - r for x, r in zip(p, reference, strict=True)) for p in points]
    return _volume([box for box in boxes if min(box) > 0])


def _volume(boxes: list[tuple[float, ...]]) -> float:
    outer = [box for box, kept in zip(boxes, nondominated(boxes), strict=True) if kept]
    # Sorted, so that what is left of later boxes within a box is small; without repetitions.
    queue = sorted(set(outer))
    if queue and len(queue[0]) == 2:
        return _area(queue)
    return math.fsum(_exclusive(box, queue[i + 1 :]) for i, box in enumerate(queue))


def _exclusive(box: tuple[float, ...], others: Sequence[tuple[float, ...]]) -> float:
    limited = [tuple(map(min, box, other)) for other in others]
    return math.prod(box) - (_volume(limited) if limited else 0.0)


def _area(queue: Sequence[tuple[float, ...]]) -> float:
    """Return the area of boxes of rising width and falling height."""
    lefts = [0.0, *(width for width, _ in queue)]
    return math.fsum((w - left) * h for (w, h), left in zip(queue, lefts, strict=False))


def _dominates(one: Point, other: Point) -> bool:
    pairs = list(zip(one, other, strict=True))
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)
