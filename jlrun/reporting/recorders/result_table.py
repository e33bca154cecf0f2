"""Table of the scores of a result and of its baselines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jlrun.reporting.recorders.formats import (
    MISSING,
    format_difference,
    format_percent,
    format_score,
)
from jlrun.wording import shorten

WIDTH = 80  # of a terminal
SHORTEST_NAME = 12  # of a task and its metric
MODEL_COLUMN = {"transfer": "transfer", "multitask": "joint", "multimodal": "fused"}


@dataclass(frozen=True)
class ResultTable:
    """Cells as text: the first column is left-aligned, the others are right-aligned."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def widths(self) -> list[int]:
        """Width of each column."""
        return [max(map(len, column)) for column in zip(self.header, *self.rows, strict=True)]

    @property
    def width(self) -> int:
        """Number of characters of a line."""
        return sum(self.widths) + 2 * (len(self.header) - 1)

    def lines(self, room: int | None = None) -> list[str]:
        """Return the table as aligned text.

        Args:
            room: characters of a line: the columns that do not fit stand in further tables below,
                after the first column.
        """
        if room is not None and self.width > room:
            return [line for part in self._parts(room) for line in part.lines()]
        widths = self.widths
        return [
            "  ".join(
                cell.rjust(width) if i else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in (self.header, *self.rows)
        ]

    def _parts(self, room: int) -> list[ResultTable]:
        """Return tables of at most this width, or of two columns where these are wider."""
        parts, used = [[0]], 0
        for place, width in enumerate(self.widths[1:], start=1):
            if len(parts[-1]) > 1 and self.widths[0] + used + 2 + width > room:
                parts, used = [*parts, [0]], 0
            parts[-1].append(place)
            used += 2 + width
        table = (self.header, *self.rows)
        cut = [[tuple(row[place] for place in part) for row in table] for part in parts]
        return [ResultTable(header, tuple(rows)) for header, *rows in cut]


def result_table(result: Mapping[str, Any], width: int = WIDTH) -> ResultTable:
    """Return one row per task with the test scores of the model and its baselines, and the gain.

    Scores have the half width of their 95 % interval, where it is known and the lines have room:
    first those of the model, then of the baseline that it is compared with, then of the others.
    Gains are in percent only where that makes room. Where there is still none, names are cut, and
    then the last baselines but those of the gain are left out.

    Args:
        result: content of ``result.json``.
        width: characters of a line.
    """
    tables = list(_tables(result))
    found = next((table for table in tables if table.width <= width), tables[-1])
    return found if found.width <= width else _narrowed(found, _kept(result), width)


def _kept(result: Mapping[str, Any]) -> set[str]:
    """Return the titles of columns that are never left out."""
    against = (result.get("gain") or {}).get("against") or ()
    return {"gain", *([against] if isinstance(against, str) else dict(against).values())}


def _narrowed(table: ResultTable, kept: set[str], width: int) -> ResultTable:
    """Return a table of at most this width, as far as names and columns that may go allow it."""
    columns = [*zip(table.header, *table.rows, strict=True)]
    room = max(SHORTEST_NAME, table.widths[0] - (table.width - width))
    columns[0] = tuple(shorten(cell, room) for cell in columns[0])
    while _table_of(columns).width > width:
        last = next((i for i in range(len(columns) - 1, 1, -1) if columns[i][0] not in kept), None)
        if last is None:
            break
        del columns[last]
    return _table_of(columns)


def _table_of(columns: Sequence[tuple[str, ...]]) -> ResultTable:
    header, *rows = zip(*columns, strict=True)
    return ResultTable(header, tuple(rows))


def full_table(result: Mapping[str, Any]) -> ResultTable:
    """Return the table of `result_table` with all intervals, however wide."""
    return next(_tables(result))


def _tables(result: Mapping[str, Any]) -> Iterator[ResultTable]:
    """Yield tables of less and less width, those with intervals of two columns or more first."""
    shown = _by_importance(result)
    for counts in (range(len(shown), 1, -1), (1,), (0,)):
        for short in (False, True):
            for count in counts:
                yield _table(result, frozenset(shown[:count]), short)


def _by_importance(result: Mapping[str, Any]) -> list[str]:
    """Return the columns with intervals, the model's own, named ``""``, first."""
    intervals, against = result.get("intervals") or {}, (result.get("gain") or {}).get("against")
    of_baselines = [n for n in result.get("baselines") or {} if n in intervals.get("baselines", {})]
    others = sorted(of_baselines, key=lambda name: (name != against, name != "reference"))
    return ["", *others] if intervals.get("test") else []


def _table(result: Mapping[str, Any], with_intervals: frozenset[str], short: bool) -> ResultTable:
    """Return the table; a ``short`` one has gains in percent only."""
    tables = {"": result["test"], **(result.get("baselines") or {})}
    _, *baselines = tables
    columns = (model_column(result), *baselines)
    header = ("test, ± 95 %" if with_intervals else "test", *columns)
    gain, rows = result.get("gain"), []
    for task in result["test"]:
        metric = primary_metric(result, task)
        cells = [
            format_score(score_of(table, task, metric))
            + (_half_width(result, name, task, metric) if name in with_intervals else "")
            for name, table in tables.items()
        ]
        row = (f"{task} {metric}", *cells)
        rows.append((*row, _gain_cell(result, task, short)) if gain else row)
    if not gain:
        return ResultTable(header, tuple(rows))
    if len(rows) > 1 and gain.get("delta_m_percent") is not None:
        blanks = ("",) * len(header[1:])
        rows.append(("mean (delta_m)", *blanks, format_percent(gain["delta_m_percent"])))
    return ResultTable((*header, "gain"), tuple(rows))


def model_column(result: Mapping[str, Any]) -> str:
    """Return what the model is called: with one task, nothing is learned jointly."""
    mode, compared = result.get("mode"), "single_task" in (result.get("baselines") or {})
    alone = mode == "multitask" and len(result.get("test") or ()) == 1 and not compared
    return "model" if alone else MODEL_COLUMN.get(str(mode), "model")


def _half_width(result: Mapping[str, Any], name: str, task: str, metric: str) -> str:
    """Return half of the interval of a score, blanks where there is none."""
    intervals = result["intervals"]
    of_name = intervals["baselines"].get(name, {}) if name else intervals["test"]
    ends = of_name.get(task, {}).get(metric)
    return " " * 8 if ends is None else f" ± {format_score((ends[1] - ends[0]) / 2)}"


def primary_metric(result: Mapping[str, Any], task: str) -> str:
    """Return the metric that stands for the task: the result's word, or the first score it has."""
    named = (result.get("primary") or {}).get(task)
    return named or next((metric for metric in result["test"][task] if metric != "loss"), "loss")


def score_of(table: Mapping[str, Mapping[str, float]], task: str, metric: str) -> float | None:
    """Return a score, or None where it was not measured."""
    return table.get(task, {}).get(metric)


def compared_baseline(result: Mapping[str, Any], task: str) -> str:
    """Return the name of the baseline that the gain of the task is relative to."""
    against = result["gain"]["against"]
    return against if isinstance(against, str) else against[task]


def num_compared(result: Mapping[str, Any], task: str) -> int:
    """Return the number of metrics that the gain of the task is the mean of."""
    return len((result["gain"].get("per_metric") or {}).get(task, ()))


def _gain_cell(result: Mapping[str, Any], task: str, short: bool) -> str:
    percent = result["gain"]["per_task"].get(task)
    if percent is None:
        return MISSING
    # No difference of one metric explains the mean of several.
    if short or num_compared(result, task) > 1:
        return format_percent(percent)
    metric = primary_metric(result, task)
    ours = score_of(result["test"], task, metric)
    theirs = score_of(result["baselines"][compared_baseline(result, task)], task, metric)
    if ours is None or theirs is None:
        return format_percent(percent)
    return f"{format_difference(ours - theirs)} ({format_percent(percent)})"
