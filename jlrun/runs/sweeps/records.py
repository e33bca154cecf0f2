"""Records of a sweep: its finished jobs, and those that differ in nothing but the seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from jlrun.errors import UserError
from jlrun.files.atomic import REWRITE, reading
from jlrun.files.run_directory import RunDirectory
from jlrun.reporting.recorders.result_table import compared_baseline, primary_metric, score_of
from jlrun.reporting.result import read_result
from jlrun.wording import counted

REJECTED = "rejected"
# Overrides of these decide what is learned; others decide how.
_PROBLEM = frozenset(
    {"mode", "experiment", "dataset", "datasets", "source", "target", "tasks", "data_root"}
)


@dataclass(frozen=True)
class JobRecord:
    """Record of one job of a sweep.

    Attributes:
        name: of its folder in the sweep's folder.
        status: completed, failed, interrupted, pruned by a search, or damaged: its
            ``result.json`` can't be read.
        overrides: those of the job, Hydra's own settings excluded.
        seed: its seed.
        scores: name -> number, as `scores_of` returns them; empty unless completed.
        primary: task -> its main metric; empty unless completed.
        rejected: whether it failed because of what the user gave.
        error: what went wrong; None if nothing did.
    """

    name: str
    status: str
    overrides: tuple[str, ...]
    seed: int | None
    scores: Mapping[str, float]
    primary: Mapping[str, str] = field(default_factory=dict)
    rejected: bool = False
    error: str | None = None


def read_jobs(directory: Path) -> list[JobRecord]:
    """Return the jobs in a sweep's folder, in the order of their numbers."""
    folders = {file.parent for file in directory.rglob(RunDirectory(directory).result.name)}
    # A folder within a run is not a run.
    runs = [folder for folder in folders if not folders & set(folder.parents)]
    jobs = [_read(folder, directory) for folder in runs]
    return sorted(
        (job for job in jobs if job is not None),
        key=lambda job: (not job.name.isdigit(), int(job.name) if job.name.isdigit() else job.name),
    )


def scores_of(result: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a result that a sweep compares, under names for a table.

    ``val/mean_score``, the objective; ``val/<task>/<metric>`` and ``baseline/<task>/<metric>`` of
    the main metric of a task, ``test/<task>/<metric>`` of all, that one first;
    ``retrieval/test/<space>/<direction>/recall_at_1``; ``gain/delta_m_percent`` and
    ``gain/<task>_percent``, larger is better, as ``gain/over_reference_percent``;
    ``cost/train_seconds`` and ``cost/peak_memory_bytes`` of the model without its baselines.
    """
    scores: dict[str, Any] = {}
    objective, gain = result.get("objective") or {}, result.get("gain") or {}
    if objective:
        scores[str(objective["name"])] = objective["value"]
    for task, metrics in (result.get("test") or {}).items():
        primary = primary_metric(result, task)
        scores[f"val/{task}/{primary}"] = (result.get("val") or {}).get(task, {}).get(primary)
        for metric in (primary, *(name for name in metrics if name != primary)):
            scores[f"test/{task}/{metric}"] = metrics.get(metric)
        scores[f"baseline/{task}/{primary}"] = _baseline_score(result, task, primary)
        scores[f"gain/{task}_percent"] = (gain.get("per_task") or {}).get(task)
    for space, pairs in (result.get("retrieval") or {}).items():
        for way, found in ((w, s) for pair in pairs.values() for w, s in pair.items()):
            name = f"retrieval/test/{space}/{way.replace(' ', '_')}/recall_at_1"
            scores[name] = found["recall_at_1"]
    scores["gain/delta_m_percent"] = gain.get("delta_m_percent")
    over_reference = gain.get("over_reference") or {}
    scores["gain/over_reference_percent"] = over_reference.get("delta_m_percent")
    for name in ("train_seconds", "peak_memory_bytes"):
        scores[f"cost/{name}"] = (result.get("cost") or {}).get(name)
    return {name: float(value) for name, value in scores.items() if value is not None}


def _baseline_score(result: Mapping[str, Any], task: str, metric: str) -> float | None:
    if task not in ((result.get("gain") or {}).get("per_task") or {}):
        return None
    baseline = (result.get("baselines") or {}).get(compared_baseline(result, task), {})
    return score_of(baseline, task, metric)


def _read(folder: Path, directory: Path) -> JobRecord | None:
    try:
        result = read_result(folder)
        with reading(RunDirectory(folder).result, REWRITE):
            return None if result is None else _record(result, folder, directory)
    except UserError as error:
        name = folder.relative_to(directory).as_posix()
        return JobRecord(name, "damaged", _overrides(folder), None, {}, error=str(error))


def _record(result: Mapping[str, Any], folder: Path, directory: Path) -> JobRecord:
    overrides = [str(text) for text in result.get("overrides") or []]
    completed = result.get("status") == "completed"
    return JobRecord(
        name=folder.relative_to(directory).as_posix(),
        status="pruned" if result.get("pruned") else str(result.get("status")),
        overrides=_without_hydra(overrides),
        seed=result.get("seed"),
        scores=scores_of(result) if completed else {},
        primary={task: primary_metric(result, task) for task in result.get("test") or {}}
        if completed
        else {},
        rejected=bool(result.get(REJECTED)),
        error=result.get("error"),
    )


def _overrides(folder: Path) -> tuple[str, ...]:
    """Return the overrides of a job whose result can't be read, none if they can't be, either."""
    from jlrun.runs.saved_run import load_any_config

    try:
        return _without_hydra(load_any_config(folder)[1])
    except UserError:
        return ()


def _without_hydra(overrides: Sequence[str]) -> tuple[str, ...]:
    return tuple(text for text in overrides if not text.startswith("hydra"))


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
        """Number of jobs that are completed."""
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

    If these all set one key, that is the title, and the labels are the values. One group alone,
    such as that of seeds, has its number of jobs.
    """
    if len(groups) == 1 and len(groups[0].jobs) > 1:
        return "sweep", [f"all {counted(len(groups[0].jobs), 'job')}"]
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
