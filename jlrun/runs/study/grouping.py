"""Which tasks to learn together: the division of the tasks among models with the largest gain.

The gain of a task in a group is taken to be the mean of its gains with each of the others alone
(Standley et al., "Which Tasks Should Be Learned Together in Multi-task Learning?", ICML 2020, their
higher-order approximation); a model of one task has none. All divisions are tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

Gains = Mapping[tuple[str, str], float]  # (with, task) -> gain of the task
MOST_TASKS = 10  # Bell's number of divisions: 115,975


@dataclass(frozen=True)
class Grouping:
    """A division of the tasks, and the mean gain over tasks that it is estimated to have."""

    groups: tuple[tuple[str, ...], ...]
    gain: float


def best_grouping(tasks: Sequence[str], gains: Gains, models: int) -> Grouping | None:
    """Return the best division among at most that many models.

    Where several are as good, the one with the fewest models.

    Args:
        tasks: names.
        gains: of each pair, both ways.
        models: largest number of groups.

    Returns:
        None if a pair's gain is not known, or there are too many tasks.
    """
    pairs = [(a, b) for a in tasks for b in tasks if a != b]
    if len(tasks) < 2 or len(tasks) > MOST_TASKS or any(each not in gains for each in pairs):
        return None
    possible = (g for g in divisions(tuple(tasks)) if len(g) <= models)
    return max(
        (Grouping(groups, _gain(groups, gains)) for groups in possible),
        key=lambda each: (round(each.gain, 9), -len(each.groups)),
    )


def divisions(tasks: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], ...]]:
    """Yield all divisions of the tasks into groups."""
    if not tasks:
        yield ()
        return
    for groups in divisions(tasks[:-1]):
        last = tasks[-1]
        for i, group in enumerate(groups):
            yield (*groups[:i], (*group, last), *groups[i + 1 :])
        yield (*groups, (last,))


def _gain(groups: Sequence[Sequence[str]], gains: Gains) -> float:
    return fmean(
        fmean(gains[other, task] for other in group if other != task) if len(group) > 1 else 0.0
        for group in groups
        for task in group
    )
