"""Comparison of the variants of a sweep: mean ranks, Pareto fronts and the space they dominate."""

# P points, T coordinates; larger is better

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from jlrun.runs.sweeps.records import Group
from jlrun.tasks import SMALLER_IS_BETTER

Point = Sequence[float]
MOST_TASKS = 6  # of a hypervolume: its time grows exponentially


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


@dataclass(frozen=True)
class Front:
    """Pareto front: the variants that no other dominates.

    Attributes:
        members: positions of the variants that are not dominated in their validation scores.
        hypervolume: of the members' test scores, above ``reference``; None for many tasks.
        reference: task -> score: 0 where larger is better, elsewhere the worst of all variants.
    """

    members: tuple[int, ...]
    hypervolume: float | None
    reference: Mapping[str, float]


@dataclass(frozen=True)
class Comparison:
    """Variants that learned the same tasks.

    Attributes:
        problem: the overrides that decide what is learned.
        groups: the variants, each with at least one completed job.
        primary: task -> metric of the tasks that all of them have.
        ranks: mean rank of each variant over the tasks, by mean test score.
        front: None for one task.
    """

    problem: tuple[str, ...]
    groups: tuple[Group, ...]
    primary: Mapping[str, str]
    ranks: tuple[float, ...]
    front: Front | None

    def scores(self, split: str, task: str) -> list[float]:
        """Return the mean scores of all variants on a task; ``split`` is val or test."""
        name = f"{split}/{task}/{self.primary[task]}"
        return [group.scores[name].mean for group in self.groups]

    def baseline(self, task: str) -> float | None:
        """Return the mean test score of what the variants must beat; None if it is not known."""
        name = f"baseline/{task}/{self.primary[task]}"
        found = [group.scores[name].mean for group in self.groups if name in group.scores]
        return fmean(found) if found else None

    def rises(self, task: str) -> bool:
        """Return whether more of the task's metric is better."""
        return larger_is_better(self.primary[task])


def compare(groups: Sequence[Group]) -> list[Comparison]:
    """Return a comparison for each problem that at least two variants were completed on."""
    by_problem: dict[tuple[str, ...], list[Group]] = {}
    for group in groups:
        if group.num_completed:
            by_problem.setdefault(group.problem, []).append(group)
    found = (_compare(problem, same) for problem, same in by_problem.items() if len(same) > 1)
    return [comparison for comparison in found if comparison.primary]


def larger_is_better(metric: str) -> bool:
    """Return whether more of the metric is better."""
    return metric not in SMALLER_IS_BETTER


def _compare(problem: tuple[str, ...], groups: Sequence[Group]) -> Comparison:
    primary = {
        task: metric
        for task, metric in groups[0].primary.items()
        if all(_scored(group, task, metric) for group in groups)
    }
    ranks = mean_ranks(_oriented(groups, "test", primary))
    front = _front(groups, primary) if len(primary) > 1 else None
    return Comparison(problem, tuple(groups), primary, tuple(ranks), front)


def _scored(group: Group, task: str, metric: str) -> bool:
    return all(f"{split}/{task}/{metric}" in group.scores for split in ("val", "test"))


def _front(groups: Sequence[Group], primary: Mapping[str, str]) -> Front:
    kept = nondominated(_oriented(groups, "val", primary))
    members = tuple(i for i, is_kept in enumerate(kept) if is_kept)
    test = _oriented(groups, "test", primary)
    reference = [
        0.0 if larger_is_better(metric) else min(column)
        for metric, column in zip(primary.values(), zip(*test, strict=True), strict=True)
    ]
    few = len(primary) <= MOST_TASKS
    return Front(
        members=members,
        hypervolume=hypervolume([test[i] for i in members], reference) if few else None,
        reference={
            task: worst if larger_is_better(metric) else -worst
            for (task, metric), worst in zip(primary.items(), reference, strict=True)
        },
    )


def _oriented(groups: Sequence[Group], split: str, primary: Mapping[str, str]) -> list[list[float]]:
    """Return a row per variant with its mean score per task, signed so that larger is better."""
    return [
        [
            group.scores[f"{split}/{task}/{metric}"].mean * (1 if larger_is_better(metric) else -1)
            for task, metric in primary.items()
        ]
        for group in groups
    ]
