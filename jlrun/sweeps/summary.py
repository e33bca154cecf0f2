"""The summary of a sweep: mean and standard deviation over seeds of what its jobs reached."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from jlrun.files import write_json, write_text
from jlrun.recorders.formats import MISSING, format_score
from jlrun.recorders.header_lines import short_path
from jlrun.recorders.result_table import ResultTable
from jlrun.sweeps.records import JobRecord, primary_names


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation (None for one number) of ``count`` numbers."""

    mean: float
    std: float | None
    count: int


@dataclass(frozen=True)
class Group:
    """Jobs that differ in nothing but the seed.

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


def summarise(directory: Path, jobs: Sequence[JobRecord]) -> None:
    """Print a table over the jobs; write ``summary.csv`` and ``summary.json`` beside them."""
    groups = group_by_overrides(jobs)
    directory.mkdir(parents=True, exist_ok=True)
    write_text(directory / "summary.csv", as_csv(groups))
    write_json(directory / "summary.json", as_json(groups))
    _show(directory, groups)


def group_by_overrides(jobs: Sequence[JobRecord]) -> list[Group]:
    """Return the jobs grouped by everything but their seed, in the order of their first job."""
    grouped: dict[tuple[str, ...], list[JobRecord]] = {}
    for job in jobs:
        key = tuple(text for text in job.overrides if text.lstrip("+").split("=")[0] != "seed")
        grouped.setdefault(key, []).append(job)
    return [Group(key, tuple(members), _spreads(members)) for key, members in grouped.items()]


def as_json(groups: Sequence[Group]) -> dict[str, Any]:
    """Return the content of ``summary.json``."""
    return {
        "schema": 1,
        "groups": [
            {
                "overrides": list(group.overrides),
                "seeds": [job.seed for job in group.jobs],
                "jobs": [job.name for job in group.jobs],
                "completed": group.num_completed,
                "scores": {name: asdict(spread) for name, spread in group.scores.items()},
            }
            for group in groups
        ],
        "jobs": [asdict(job) for group in groups for job in group.jobs],
    }


def as_csv(groups: Sequence[Group]) -> str:
    """Return the content of ``summary.csv``: a row per group, two columns per score."""
    names = list(dict.fromkeys(name for group in groups for name in group.scores))
    columns = [column for name in names for column in (f"{name}/mean", f"{name}/std")]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["overrides", "jobs", "completed", *columns])
    for group in groups:
        spreads = [group.scores.get(name) for name in names]
        cells = [n for s in spreads for n in ((s.mean, s.std) if s else (None, None))]
        row = [" ".join(group.overrides), len(group.jobs), group.num_completed, *cells]
        writer.writerow(["" if cell is None else cell for cell in row])
    return text.getvalue()


def _spreads(jobs: Sequence[JobRecord]) -> dict[str, Spread]:
    values: dict[str, list[float]] = {}
    for job in jobs:
        for name, score in job.scores.items():
            values.setdefault(name, []).append(score)
    return {
        name: Spread(fmean(found), stdev(found) if len(found) > 1 else None, len(found))
        for name, found in values.items()
    }


def _show(directory: Path, groups: Sequence[Group]) -> None:
    names = primary_names([dict.fromkeys(group.scores, 0.0) for group in groups])
    rows = []
    for group in groups:
        count = len(group.jobs)
        jobs = f"{group.num_completed} of {count}" if group.num_completed < count else str(count)
        cells = [_cell(name, group.scores.get(name)) for name in names]
        rows.append((_label(group, groups), jobs, *cells))
    header = ("sweep", "jobs", *map(_title, names))
    print("", *ResultTable(header, tuple(rows)).lines(), sep="\n")
    print("\nmean ± standard deviation over seeds")
    print(f"  summary  {short_path(directory / 'summary.csv')} and .json", flush=True)


def _title(name: str) -> str:
    if name == "gain/delta_m_percent":
        return "gain"
    return name.removeprefix("test/").replace("/", " ")


def _label(group: Group, groups: Sequence[Group]) -> str:
    """Return the overrides that not all groups share."""
    shared = set.intersection(*(set(other.overrides) for other in groups))
    told = [text for text in group.overrides if text not in shared]
    return " ".join(told or group.overrides) or "defaults"


def _cell(name: str, spread: Spread | None) -> str:
    if spread is None:
        return MISSING
    if name.endswith("_percent"):
        tail = "" if spread.std is None else f" ± {spread.std:.1f}"
        return f"{spread.mean:+.1f}{tail} %"
    tail = "" if spread.std is None else f" ± {spread.std:.3f}"
    return f"{format_score(spread.mean)}{tail}"
