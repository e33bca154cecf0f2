"""Table of the scores of a result and of its baselines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jlrun.reporting.recorders.formats import (
    MISSING,
    format_difference,
    format_percent,
    format_score,
)

MODEL_COLUMN = {"transfer": "transfer", "multitask": "joint", "multimodal": "fused"}


@dataclass(frozen=True)
class ResultTable:
    """Cells as text: the first column is left-aligned, the others are right-aligned."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def lines(self) -> list[str]:
        """Return the table as aligned text."""
        widths = [max(map(len, column)) for column in zip(self.header, *self.rows, strict=True)]
        return [
            "  ".join(
                cell.rjust(width) if i else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in (self.header, *self.rows)
        ]


def result_table(result: Mapping[str, Any]) -> ResultTable:
    """Return one row per task with the test scores of the model and its baselines, and the gain."""
    baselines = result.get("baselines") or {}
    gain = result.get("gain")
    header = ("test", MODEL_COLUMN.get(result["mode"], "model"), *baselines)
    rows = []
    for task in result["test"]:
        metric = primary_metric(result, task)
        scores = [score_of(table, task, metric) for table in (result["test"], *baselines.values())]
        row = (f"{task} {metric}", *map(format_score, scores))
        rows.append((*row, _gain_cell(result, task)) if gain else row)
    if not gain:
        return ResultTable(header, tuple(rows))
    if len(rows) > 1 and gain.get("delta_m_percent") is not None:
        blanks = ("",) * len(header[1:])
        rows.append(("mean (delta_m)", *blanks, format_percent(gain["delta_m_percent"])))
    return ResultTable((*header, "gain"), tuple(rows))


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


def _gain_cell(result: Mapping[str, Any], task: str) -> str:
    percent = result["gain"]["per_task"].get(task)
    if percent is None:
        return MISSING
    if num_compared(result, task) > 1:  # no difference of one metric explains it
        return format_percent(percent)
    metric = primary_metric(result, task)
    ours = score_of(result["test"], task, metric)
    theirs = score_of(result["baselines"][compared_baseline(result, task)], task, metric)
    if ours is None or theirs is None:
        return format_percent(percent)
    return f"{format_difference(ours - theirs)} ({format_percent(percent)})"
