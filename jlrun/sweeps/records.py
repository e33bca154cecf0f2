"""The finished jobs of a sweep, read back from their ``result.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from json import JSONDecodeError
from pathlib import Path
from typing import Any

from jlrun.recorders.result_table import primary_metric
from jlrun.result import read_result

REJECTED = "rejected"


@dataclass(frozen=True)
class JobRecord:
    """What one job of a sweep left behind.

    Attributes:
        name: of its folder in the sweep's folder.
        status: completed, failed or interrupted.
        overrides: what set it apart, Hydra's own settings excluded.
        seed: its seed.
        scores: name -> number: the objective, test scores and gain; empty unless completed.
        rejected: whether it failed because of what the user gave.
        error: what went wrong; None if nothing did.
    """

    name: str
    status: str
    overrides: tuple[str, ...]
    seed: int | None
    scores: Mapping[str, float]
    rejected: bool = False
    error: str | None = None


def read_jobs(directory: Path) -> list[JobRecord]:
    """Return the jobs in a sweep's folder, in the order of their numbers."""
    folders = {file.parent for file in directory.rglob("result.json")}
    # What lies within a run's folder is not a run.
    runs = [folder for folder in folders if not folders & set(folder.parents)]
    jobs = [_read(folder, directory) for folder in runs]
    return sorted(
        (job for job in jobs if job is not None),
        key=lambda job: (not job.name.isdigit(), int(job.name) if job.name.isdigit() else job.name),
    )


def scores_of(result: Mapping[str, Any]) -> dict[str, float]:
    """Return what a sweep compares: the objective, each task's test scores, and the gain.

    The metric that stands for a task comes first among its scores.
    """
    scores: dict[str, Any] = {}
    objective = result.get("objective") or {}
    if objective:
        scores[str(objective["name"])] = objective["value"]
    for task, metrics in (result.get("test") or {}).items():
        primary = primary_metric(result, task)
        for metric in (primary, *(name for name in metrics if name != primary)):
            scores[f"test/{task}/{metric}"] = metrics.get(metric)
    scores["gain/delta_m_percent"] = (result.get("gain") or {}).get("delta_m_percent")
    return {name: float(value) for name, value in scores.items() if value is not None}


def primary_names(results: Sequence[Mapping[str, float]]) -> list[str]:
    """Return the scores a table has room for: one per task, and those that are not of a task."""
    names = list(dict.fromkeys(name for scores in results for name in scores))
    shown, tasks = [], set[str]()
    for name in names:
        task = name.split("/")[1] if name.startswith("test/") else ""
        if not task or task not in tasks:
            shown.append(name)
        tasks.add(task)
    return shown


def _read(folder: Path, directory: Path) -> JobRecord | None:
    try:
        result = read_result(folder)
    except (JSONDecodeError, OSError):
        return None
    if result is None:
        return None
    overrides = [str(text) for text in result.get("overrides") or []]
    completed = result.get("status") == "completed"
    return JobRecord(
        name=folder.relative_to(directory).as_posix(),
        status=str(result.get("status")),
        overrides=tuple(text for text in overrides if not text.startswith("hydra")),
        seed=result.get("seed"),
        scores=scores_of(result) if completed else {},
        rejected=bool(result.get(REJECTED)),
        error=result.get("error"),
    )
