"""Summary of a sweep: mean and standard deviation over seeds, and the table it ends with."""

from __future__ import annotations

import csv
import io
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any, get_args

from jlrun.files.atomic import write_json, write_text
from jlrun.reporting.recorders.figure_files import FigureFileRecorder, FigureFormat
from jlrun.reporting.recorders.formats import MISSING, format_count, format_score
from jlrun.reporting.recorders.header_lines import short_path
from jlrun.reporting.recorders.result_table import ResultTable
from jlrun.runs.sweeps.board_columns import write_columns
from jlrun.runs.sweeps.comparison import Comparison, Front, compare
from jlrun.runs.sweeps.records import Group, JobRecord, Spread, group_by_overrides, key_of, labels
from jlrun.runs.sweeps.report_tables import Table, as_latex, as_markdown, make_table
from jlrun.wording import shorten

_NOT_PLACED: Mapping[str, Any] = {"mean_rank": None, "on_front": None}
WIDTH = 100
LONGEST_LABEL = 40
GAIN = "gain/delta_m_percent"
# What selected epochs, or compares runs; a sweep may have several kinds.
OBJECTIVES = ("val/mean_score", "validator/", "leave_one_domain_out/", "retrieval/val/")
SECONDS, MEMORY = "cost/train_seconds", "cost/peak_memory_bytes"


def summarise(directory: Path, jobs: Sequence[JobRecord]) -> None:
    """Print a table over the jobs; write it as CSV, JSON, Markdown and LaTeX (``summary.*``) and,
    where there are several variants, figures next to them."""
    groups = group_by_overrides(jobs)
    comparisons = compare(groups)
    directory.mkdir(parents=True, exist_ok=True)
    write_text(directory / "summary.csv", as_csv(groups, comparisons))
    write_json(directory / "summary.json", as_json(groups, comparisons))
    table = make_table(groups)
    write_text(directory / "summary.md", as_markdown(table))
    write_text(directory / "summary.tex", as_latex(table))
    write_columns(directory, [job.name for job in jobs])
    files = ["summary.csv", ".json", ".md", ".tex", *_draw(directory, groups, comparisons, table)]
    print("", *table_lines(groups, comparisons, _terminal_width()), "", sep="\n")
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


def _draw(
    directory: Path, groups: Sequence[Group], comparisons: Sequence[Comparison], table: Table
) -> list[str]:
    """Draw scores by the swept keys, and fronts, unless the jobs were to draw nothing.

    Returns:
        the names of the files.
    """
    drawn = [comparison for comparison in comparisons if comparison.front is not None]
    if len(groups) < 2 or all(map(_without_figures, groups)):
        return []
    from jlrun.runs.sweeps.pareto import pareto
    from jlrun.runs.sweeps.sweep_figure import sweep_figure

    names = dict(zip(map(id, groups), labels(groups)[1], strict=True))
    kind = _figure_format(groups)
    recorder, files = FigureFileRecorder(directory, kind), list[str]()
    # Scores of several data sets or tasks are not those of one scale.
    one_problem = len({scored_problem(group) for group in groups}) == 1
    by_keys = sweep_figure(groups, table) if one_problem else None
    if by_keys is not None:
        recorder.figure("sweep", by_keys, step=0)
        files.append(f"sweep.{kind}")
    for i, comparison in enumerate(drawn, 1):
        tag = "pareto" if len(drawn) == 1 else f"pareto_{i}"
        shown = [names[id(group)] for group in comparison.groups]
        recorder.figure(tag, pareto(comparison, shown, table.keys), step=0)
        files.append(f"{tag}.{kind}")
    return files


def scored_problem(group: Group) -> tuple[str, ...]:
    """Return what decides which test rows are scored: not the number of labels."""
    return tuple(text for text in group.problem if not key_of(text).endswith(".shots"))


def _figure_format(groups: Sequence[Group]) -> FigureFormat:
    """Return the format that the jobs were told to draw in."""
    texts = {text for group in groups for text in group.overrides}
    found = (kind for kind in get_args(FigureFormat) if f"recorder.figure_format={kind}" in texts)
    return next(found, "png")


def _without_figures(group: Group) -> bool:
    return any(text.lower() == "recorder.figures=false" for text in group.overrides)


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
        """Number of characters of the longest cell."""
        return max(map(len, (self.title, *self.cells)))


def _terminal_width() -> int:
    """Return how wide a line may be: `WIDTH`, or less where the terminal is narrower."""
    return min(WIDTH, shutil.get_terminal_size().columns) if sys.stdout.isatty() else WIDTH


def table_lines(
    groups: Sequence[Group], comparisons: Sequence[Comparison], width: int = WIDTH
) -> list[str]:
    """Return the table, at most ``width`` characters wide where that can be, and its legend."""
    columns = _columns(groups, comparisons)
    kept = _fitting(columns, width)
    hidden = [column.title for column in columns if column not in kept]
    rows = tuple(zip(*(column.cells for column in kept), strict=True))
    table = ResultTable(tuple(column.title for column in kept), rows)
    notes = [*_legend(kept, hidden), *_front_lines(comparisons)]
    return [*table.lines(), "", *(part for note in notes for part in wrap(note, width))]


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
            _column(groups, name.replace("/", " "), name, _score, room=len(tasks) + 2)
            for name in objectives
        ),
        *(
            _column(groups, f"{task} {metric}", f"test/{task}/{metric}", _score, room=i and i + 1)
            for i, (task, metric) in enumerate(tasks)
        ),
        _column(groups, "gain", GAIN, _percent),
        Column("rank", tuple(_rank(ranks.get(id(group))) for group in groups)),
        _column(groups, "train s", SECONDS, lambda spread: f"{spread.mean:.1f}"),
        _column(groups, "MB", MEMORY, lambda spread: format_count(spread.mean / 1e6), room=1),
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


def _fitting(columns: Sequence[Column], width: int) -> list[Column]:
    kept = list(columns)
    while sum(column.width + 2 for column in kept) - 2 > width:
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
        lines.append(f"in summary.csv only: {', '.join(hidden)}")
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
