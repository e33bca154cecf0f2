"""Lines on the contribution of modalities and on missing ones, for the end of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jlrun.reporting.recorders.formats import MISSING, format_difference, format_score
from jlrun.reporting.recorders.result_table import ResultTable


def contribution_lines(result: Mapping[str, Any]) -> list[str]:
    """Return a table of ``result.json``'s ``contribution``; nothing for other runs.

    Of each modality: the score with it alone, with all others, and its Shapley value.
    """
    rows = []
    for task, shares in (result.get("contribution") or {}).items():
        none, every = format_score(shares["none"]), format_score(shares["all"])
        rows.append((f"{task} {shares['metric']} (none {none}, all {every})", "", "", ""))
        for modality, value in shares["shapley"].items():
            scores = map(format_score, (shares["alone"][modality], shares["without"][modality]))
            rows.append((f"  {modality}", *scores, format_difference(value)))
    header = ("test", "alone", "without", "adds")
    return ResultTable(header, tuple(rows)).lines() if rows else []


def missing_lines(result: Mapping[str, Any]) -> list[str]:
    """Return a table of ``result.json``'s ``missing``: the scores at each rate, and the worst
    subset; nothing for other runs.
    """
    found = result.get("missing")
    if not found:
        return []
    rates = [f"{100 * point['rate']:g} %" for point in found["rates"]]
    rows = []
    for task, summary in found["summary"].items():
        metric, worst = summary["metric"], summary["worst_subset"]
        scores = [point["test"].get(task, {}).get(metric) for point in found["rates"]]
        worst_score = MISSING if worst is None else f"{format_score(summary['worst'])} ({worst})"
        area = format_score(summary["area"])
        rows.append((f"{task} {metric}", *map(format_score, scores), area, worst_score))
    return ResultTable(("lost at random", *rates, "area", "worst"), tuple(rows)).lines()
