"""Sentences of a verdict on the reference models: is a joint model needed at all?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jlrun.reporting.recorders.formats import format_percent, format_score
from jlrun.reporting.recorders.result_table import primary_metric, score_of

REFERENCE = "reference"


def over_reference(result: Mapping[str, Any]) -> list[str]:
    """Return which tasks a reference model predicts better, or as well as far as noise allows."""
    over = (result.get("gain") or {}).get(f"over_{REFERENCE}")
    if not over or not over["per_task"]:
        return []
    kinds = {task: (over.get("kind") or {}).get(task, "noise") for task in over["per_task"]}
    lost = [task for task, kind in kinds.items() if kind == "lost"]
    equal = [task for task, kind in kinds.items() if kind in ("noise", "same")]
    if not lost and not equal:
        percent = format_percent(over["delta_m_percent"])
        return [f"Better than the best reference model on every task: {percent} on average."]
    return [
        *_sentence(result, "A reference model is better", lost),
        *_sentence(result, "Not better than the reference model beyond noise", equal),
    ]


def _sentence(result: Mapping[str, Any], claim: str, tasks: list[str]) -> list[str]:
    if not tasks:
        return []
    count = len(result["gain"][f"over_{REFERENCE}"]["per_task"])
    many = f" on {len(tasks)} of {count} tasks" if count > 1 else ""
    return [f"{claim}{many}: {'; '.join(_compared(result, task) for task in tasks)}."]


def _compared(result: Mapping[str, Any], task: str) -> str:
    metric = primary_metric(result, task)
    ours = format_score(score_of(result["test"], task, metric))
    theirs = format_score(score_of(result["baselines"][REFERENCE], task, metric))
    model = (result.get("reference_models") or {}).get(task, {}).get("chosen", REFERENCE)
    return f"{task} {metric} {ours} vs {theirs} with {model} ({_gain(result, task)})"


def _gain(result: Mapping[str, Any], task: str) -> str:
    over = result["gain"][f"over_{REFERENCE}"]
    percent = format_percent(over["per_task"][task])
    if task in (over.get("spread") or {}):
        percent += " of the reference's spread"
    if task not in (over.get("interval") or {}):
        return percent
    low, high = over["interval"][task]
    return f"{percent}, 95 % interval {low:+.1f} to {high:+.1f}"
