"""The jobs of a sweep that differ in nothing but the seed, and the spread of what they reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from jlrun.runs.sweeps.records import JobRecord

# Overrides of these decide what is learned; others decide how.
_PROBLEM = frozenset(
    {"mode", "experiment", "dataset", "datasets", "source", "target", "tasks", "data_root"}
)


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation (None for one number) of ``count`` numbers."""

    mean: float
    std: float | None
    count: int


@dataclass(frozen=True)
class Group:
    """Jobs that differ in nothing but the seed: a variant of the sweep.

    Attributes:
        overrides: what they have in common, without the seed.
        jobs: all of them, failed ones included.
        scores: name -> spread over the completed ones.
    """

    overrides: tuple[str, ...]
    jobs: tuple[JobRecord, ...]
    scores: Mapping[str, Spread]

    @property
    def num_completed(self) -> int:
        return sum(job.status == "completed" for job in self.jobs)

    @property
    def problem(self) -> tuple[str, ...]:
        """The overrides that decide what is learned; groups that share them can be compared."""
        return tuple(text for text in self.overrides if _top(text) in _PROBLEM)

    @property
    def primary(self) -> Mapping[str, str]:
        """Task -> its main metric; empty if no job completed."""
        return next((job.primary for job in self.jobs if job.primary), {})


def group_by_overrides(jobs: Sequence[JobRecord]) -> list[Group]:
    """Return the jobs grouped by everything but their seed, in the order of their first job."""
    grouped: dict[tuple[str, ...], list[JobRecord]] = {}
    for job in jobs:
        key = tuple(text for text in job.overrides if key_of(text) != "seed")
        grouped.setdefault(key, []).append(job)
    return [Group(key, tuple(members), _spreads(members)) for key, members in grouped.items()]


def key_of(override: str) -> str:
    """Return the key of an override as it was written, without a leading ``+``."""
    return override.lstrip("+").split("=")[0]


def labels(groups: Sequence[Group]) -> tuple[str, list[str]]:
    """Return a title and, for each group, the overrides that not all of them share.

    If these all set one key, that is the title, and the labels are the values.
    """
    shared = set[str]().union(*(group.overrides for group in groups[:1]))
    shared = shared.intersection(*(group.overrides for group in groups))
    differing = [[text for text in group.overrides if text not in shared] for group in groups]
    keys = {key_of(text) for texts in differing for text in texts}
    if len(keys) == 1 and all(len(texts) == 1 for texts in differing):
        return keys.pop(), [texts[0].partition("=")[2] for texts in differing]
    names = [
        " ".join(texts or group.overrides) for texts, group in zip(differing, groups, strict=True)
    ]
    return "sweep", [name or "defaults" for name in names]


def _top(override: str) -> str:
    """Return the top-level part of the config that an override is about."""
    key = key_of(override)
    for mark in "@/.":
        key = key.partition(mark)[0]
    return key


def _spreads(jobs: Sequence[JobRecord]) -> dict[str, Spread]:
    values: dict[str, list[float]] = {}
    for job in jobs:
        for name, score in job.scores.items():
            values.setdefault(name, []).append(score)
    return {
        name: Spread(fmean(found), stdev(found) if len(found) > 1 else None, len(found))
        for name, found in values.items()
    }
