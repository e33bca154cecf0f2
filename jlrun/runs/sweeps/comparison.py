"""The variants of a sweep against each other: mean ranks and Pareto fronts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from jlrun.runs.sweeps.groups import Group
from jlrun.runs.sweeps.orders import hypervolume, mean_ranks, nondominated
from jlrun.tasks import SMALLER_IS_BETTER

MOST_TASKS = 6  # of a hypervolume: its time grows exponentially


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
