"""Tables of a comparison: what differs, scores, gains and cost, a column for each run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import Any

from jlrun.files.names import printable
from jlrun.reporting.recorders.formats import (
    MISSING,
    format_percent,
    format_score,
    format_seconds,
)
from jlrun.reporting.recorders.header_lines import short_path
from jlrun.reporting.recorders.result_table import ResultTable, primary_metric
from jlrun.runs.comparing.configs import config_differences
from jlrun.runs.listing.found import Found
from jlrun.wording import shorten

LETTERS = ascii_uppercase
LONGEST_CELL = 32
_COSTS = {
    "training": ("train_seconds", format_seconds),
    "peak memory": ("peak_memory_bytes", lambda value: f"{value / 1e6:,.0f} MB"),
    "steps": ("steps", lambda value: f"{value:,.0f}"),
}


def comparison_lines(runs: Sequence[Found], room: int | None = None) -> list[str]:
    """Return the lines on what differs between runs, named by letters.

    Args:
        runs: at least two.
        room: characters of a line; None: any number.
    """
    names = LETTERS[: len(runs)]
    paths = [printable(short_path(run.directory)) for run in runs]
    width = max(map(len, paths))
    blocks = [
        [
            f"{name}  {path:<{width}}  {run.status}"
            for name, path, run in zip(names, paths, runs, strict=True)
        ],
        _block("configuration", names, config_differences([run.config for run in runs]), room),
        _block("test, ± 95 %", names, score_rows(runs), room),
        _block("gain", names, gain_rows(runs), room),
        _block("cost", names, _cost_rows(runs), room),
    ]
    return [line for block in blocks if block for line in ("", *block)][1:]


def _block(
    title: str, names: str, rows: Mapping[str, Sequence[str]], room: int | None
) -> list[str]:
    if not rows:
        return ["the configurations are equal"] if title == "configuration" else []
    cells = tuple(
        (printable(key), *(shorten(printable(cell), LONGEST_CELL) for cell in row))
        for key, row in rows.items()
    )
    return ResultTable((title, *names), cells).lines(room)


def score_rows(runs: Sequence[Found]) -> dict[str, list[str]]:
    """Return task and metric -> test score of each run, with half of its 95 % interval."""
    tasks = dict.fromkeys(
        (task, primary_metric(run.result, task))
        for run in runs
        for task in run.result.get("test") or {}
    )
    return {f"{t} {m}": [_score(run.result, t, m) for run in runs] for t, m in tasks}


def _score(result: Mapping[str, Any], task: str, metric: str) -> str:
    score = ((result.get("test") or {}).get(task) or {}).get(metric)
    if score is None:
        return MISSING
    intervals = (result.get("intervals") or {}).get("test") or {}
    ends = (intervals.get(task) or {}).get(metric)
    tail = "" if ends is None else f" ± {format_score((ends[1] - ends[0]) / 2)}"
    return f"{format_score(score)}{tail}"


def gain_rows(runs: Sequence[Found]) -> dict[str, list[str]]:
    """Return task -> gain of each run over its baselines; nothing where none has any."""
    gains = [run.result.get("gain") or {} for run in runs]
    tasks = dict.fromkeys(task for gain in gains for task in gain.get("per_task") or {})
    rows = {task: [_gain(gain, task) for gain in gains] for task in tasks}
    if len(tasks) > 1:
        means = [gain.get("delta_m_percent") for gain in gains]
        rows["mean (delta_m)"] = [MISSING if m is None else format_percent(m) for m in means]
    return rows


def _gain(gain: Mapping[str, Any], task: str) -> str:
    percent = (gain.get("per_task") or {}).get(task)
    if percent is None:
        return MISSING
    ends = (gain.get("interval") or {}).get(task)
    tail = "" if ends is None else f" ({ends[0]:+.1f} to {ends[1]:+.1f})"
    return f"{format_percent(percent)}{tail}"


def _cost_rows(runs: Sequence[Found]) -> dict[str, list[str]]:
    costs = [run.result.get("cost") or {} for run in runs]
    models = [run.result.get("model") or {} for run in runs]
    rows = {
        title: [MISSING if c.get(key) is None else show(c[key]) for c in costs]
        for title, (key, show) in _COSTS.items()
    }
    rows["parameters"] = [
        f"{m['parameters']:,}" if m.get("parameters") else MISSING for m in models
    ]
    return {title: row for title, row in rows.items() if set(row) != {MISSING}}
