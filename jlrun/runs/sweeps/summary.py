"""The summary of a sweep: mean and standard deviation over seeds of what its jobs reached."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jlrun.files.atomic import write_json, write_text
from jlrun.reporting.recorders.header_lines import short_path
from jlrun.runs.sweeps.comparison import Comparison, compare
from jlrun.runs.sweeps.groups import Group, group_by_overrides, labels
from jlrun.runs.sweeps.records import JobRecord
from jlrun.runs.sweeps.table import table_lines


def summarise(directory: Path, jobs: Sequence[JobRecord]) -> None:
    """Print a table over the jobs; write ``summary.csv``, ``summary.json`` and, where there are
    several variants and tasks, ``pareto.png`` next to them."""
    groups = group_by_overrides(jobs)
    comparisons = compare(groups)
    directory.mkdir(parents=True, exist_ok=True)
    write_text(directory / "summary.csv", as_csv(groups, comparisons))
    write_json(directory / "summary.json", as_json(groups, comparisons))
    files = ["summary.csv", "summary.json", *_draw(directory, groups, comparisons)]
    print("", *table_lines(groups, comparisons), "", sep="\n")
    print(f"  summary  {short_path(directory)}: {', '.join(files)}", flush=True)


def as_json(groups: Sequence[Group], comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """Return the content of ``summary.json``."""
    placed = _placed(comparisons)
    positions = {id(group): i for i, group in enumerate(groups)}
    return {
        "schema": 1,
        "groups": [
            {
                "overrides": list(group.overrides),
                "seeds": [job.seed for job in group.jobs],
                "jobs": [job.name for job in group.jobs],
                "completed": group.num_completed,
                "scores": {name: asdict(spread) for name, spread in group.scores.items()},
                **placed.get(id(group), _NOT_PLACED),
            }
            for group in groups
        ],
        "comparisons": [
            {
                "problem": list(comparison.problem),
                "groups": [positions[id(group)] for group in comparison.groups],
                "primary": comparison.primary,
                "front": _front_json(comparison, positions),
            }
            for comparison in comparisons
        ],
        "jobs": [asdict(job) for group in groups for job in group.jobs],
    }


def as_csv(groups: Sequence[Group], comparisons: Sequence[Comparison]) -> str:
    """Return the content of ``summary.csv``: a row per group, two columns per score."""
    names = list(dict.fromkeys(name for group in groups for name in group.scores))
    columns = [column for name in names for column in (f"{name}/mean", f"{name}/std")]
    placed = _placed(comparisons)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["overrides", "jobs", "completed", *_NOT_PLACED, *columns])
    for group in groups:
        spreads = [group.scores.get(name) for name in names]
        cells = [n for s in spreads for n in ((s.mean, s.std) if s else (None, None))]
        place = placed.get(id(group), _NOT_PLACED).values()
        row = [" ".join(group.overrides), len(group.jobs), group.num_completed, *place, *cells]
        writer.writerow(["" if cell is None else cell for cell in row])
    return text.getvalue()


_NOT_PLACED: Mapping[str, Any] = {"mean_rank": None, "on_front": None}


def _placed(comparisons: Sequence[Comparison]) -> dict[int, Mapping[str, Any]]:
    """Return group -> its mean rank and whether it is on the front, if there is one."""
    return {
        id(group): {"mean_rank": rank, "on_front": i in c.front.members if c.front else None}
        for c in comparisons
        for i, (group, rank) in enumerate(zip(c.groups, c.ranks, strict=True))
    }


def _front_json(comparison: Comparison, positions: Mapping[int, int]) -> dict[str, Any] | None:
    front = comparison.front
    if front is None:
        return None
    return {
        "groups": [positions[id(comparison.groups[i])] for i in front.members],
        "selected_by": "validation scores",
        "hypervolume": front.hypervolume,
        "hypervolume_of": "test scores",
        "reference": front.reference,
    }


def _draw(directory: Path, groups: Sequence[Group], comparisons: Sequence[Comparison]) -> list[str]:
    """Draw the fronts, unless the jobs were to draw nothing; return the names of the files."""
    drawn = [comparison for comparison in comparisons if comparison.front is not None]
    if not drawn or all(map(_without_figures, groups)):
        return []
    from jlrun.reporting.recorders.figure_files import FigureFileRecorder
    from jlrun.runs.sweeps.figure import pareto

    names = dict(zip(map(id, groups), labels(groups)[1], strict=True))
    recorder, files = FigureFileRecorder(directory), []
    for i, comparison in enumerate(drawn, 1):
        tag = "pareto" if len(drawn) == 1 else f"pareto_{i}"
        recorder.figure(tag, pareto(comparison, [names[id(g)] for g in comparison.groups]), step=0)
        files.append(f"{tag}.png")
    return files


def _without_figures(group: Group) -> bool:
    return any(text.lower() == "recorder.figures=false" for text in group.overrides)
