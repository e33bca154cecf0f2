"""The table that a sweep ends with, and what its columns mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from textwrap import wrap

from jlrun.reporting.figures.style import shorten
from jlrun.reporting.recorders.formats import MISSING, format_count, format_score
from jlrun.reporting.recorders.result_table import ResultTable
from jlrun.runs.sweeps.comparison import Comparison, Front
from jlrun.runs.sweeps.groups import Group, Spread, labels

WIDTH = 100
LONGEST_LABEL = 40
GAIN = "gain/delta_m_percent"
# What selected epochs, or compares runs; a sweep may have several kinds.
OBJECTIVES = ("val/mean_score", "validator/", "leave_one_domain_out/", "retrieval/val/")
SECONDS, MEMORY = "cost/train_seconds", "cost/peak_memory_bytes"


@dataclass(frozen=True)
class Column:
    """A title and a cell per variant.

    Attributes:
        room: what goes first where there is no room: the larger number; 0 always stays.
    """

    title: str
    cells: tuple[str, ...]
    room: int = 0

    @property
    def width(self) -> int:
        return max(map(len, (self.title, *self.cells)))


def table_lines(groups: Sequence[Group], comparisons: Sequence[Comparison]) -> list[str]:
    """Return the table, at most `WIDTH` characters wide where that can be, and its legend."""
    columns = _columns(groups, comparisons)
    kept = _fitting(columns)
    hidden = [column.title for column in columns if column not in kept]
    rows = tuple(zip(*(column.cells for column in kept), strict=True))
    table = ResultTable(tuple(column.title for column in kept), rows)
    return [*table.lines(), "", *_legend(kept, hidden), *_front_lines(comparisons)]


def _columns(groups: Sequence[Group], comparisons: Sequence[Comparison]) -> list[Column]:
    title, names = labels(groups)
    starred = {id(c.groups[i]) for c in comparisons if c.front for i in c.front.members}
    shown = [
        shorten(name, LONGEST_LABEL) + (" *" if id(group) in starred else "")
        for name, group in zip(names, groups, strict=True)
    ]
    ranks = {
        id(group): rank for c in comparisons for group, rank in zip(c.groups, c.ranks, strict=True)
    }
    objectives = dict.fromkeys(
        name for group in groups for name in group.scores if name.startswith(OBJECTIVES)
    )
    tasks = dict.fromkeys(pair for group in groups for pair in group.primary.items())
    measured = [
        *(
            _column(groups, name.replace("/", " "), name, _score, room=len(tasks) + 1)
            for name in objectives
        ),
        *(
            _column(groups, f"{task} {metric}", f"test/{task}/{metric}", _score, room=i)
            for i, (task, metric) in enumerate(tasks)
        ),
        _column(groups, "gain", GAIN, _percent),
        Column("rank", tuple(_rank(ranks.get(id(group))) for group in groups)),
        _column(groups, "train s", SECONDS, lambda spread: f"{spread.mean:.1f}"),
        _column(groups, "MB", MEMORY, lambda spread: format_count(spread.mean / 1e6)),
    ]
    return [
        Column(title, tuple(shown)),
        Column("jobs", tuple(map(_jobs, groups))),
        *(column for column in measured if set(column.cells) != {MISSING}),
    ]


def _column(
    groups: Sequence[Group], title: str, name: str, show: Callable[[Spread], str], room: int = 0
) -> Column:
    spreads = [group.scores.get(name) for group in groups]
    return Column(title, tuple(MISSING if s is None else show(s) for s in spreads), room)


def _fitting(columns: Sequence[Column]) -> list[Column]:
    kept = list(columns)
    while sum(column.width + 2 for column in kept) - 2 > WIDTH:
        spare = max(kept, key=lambda column: column.room)
        if not spare.room:
            break
        kept.remove(spare)
    return kept


def _legend(columns: Sequence[Column], hidden: Sequence[str]) -> list[str]:
    titles = {column.title for column in columns}
    lines = ["mean ± standard deviation over seeds, of test scores"]
    if "gain" in titles:
        lines.append(
            "gain: Δm, the mean over tasks of the relative gain over the baseline; larger is better"
        )
    if "rank" in titles:
        lines.append("rank: mean over tasks of the place by mean test score; 1 is the best")
    if titles & {"train s", "MB"}:
        lines.append("train s, MB: training time and peak memory without the baselines")
    if hidden:
        lines += wrap(f"in summary.csv only: {', '.join(hidden)}", WIDTH)
    return lines


def _front_lines(comparisons: Sequence[Comparison]) -> list[str]:
    fronts = [(c, c.front) for c in comparisons if c.front is not None]
    if not fronts:
        return []
    return [
        "* on the Pareto front: no other is as good in all validation scores and better in one",
        *(line for comparison, front in fronts for line in _volume(comparison, front, fronts)),
    ]


def _volume(comparison: Comparison, front: Front, fronts: Sequence[object]) -> list[str]:
    if front.hypervolume is None:
        return []
    where = f" ({' '.join(comparison.problem)})" if len(fronts) > 1 else ""
    reference = ", ".join(f"{task} {format_score(x)}" for task, x in front.reference.items())
    volume = format_score(front.hypervolume)
    return [f"hypervolume of the front's test scores{where}: {volume} from {reference}"]


def _jobs(group: Group) -> str:
    count = len(group.jobs)
    return f"{group.num_completed} of {count}" if group.num_completed < count else str(count)


def _rank(rank: float | None) -> str:
    return MISSING if rank is None else f"{rank:.1f}"


def _score(spread: Spread) -> str:
    tail = "" if spread.std is None else f" ± {spread.std:.3f}"
    return f"{format_score(spread.mean)}{tail}"


def _percent(spread: Spread) -> str:
    tail = "" if spread.std is None else f" ± {spread.std:.1f}"
    return f"{spread.mean:+.1f}{tail} %"
