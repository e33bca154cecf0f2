"""The answer of a run in a sentence or two: does learning jointly help?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jlrun.recorders.formats import format_percent, format_score
from jlrun.recorders.result_table import compared_baseline, primary_metric, score_of

SUBJECT = {
    "transfer": "Transfer",
    "multitask": "Multi-task learning",
    "multimodal": "Fusing modalities",
}
AGAINST = {
    "scratch": "from scratch",
    "single_task": "with a model of its own",
    "ensemble": "with the ensemble",
}


def verdict(result: Mapping[str, Any]) -> list[str]:
    """Return the sentences, of tasks that gain, that do not, and that lose; none without a gain.

    A gain that rounds to 0.0 % is none, and so is a loss that the result does not list as
    negative transfer.
    """
    gain = result.get("gain")
    if not gain:
        return []
    percents = {task: value for task, value in gain["per_task"].items() if value is not None}
    signs = {task: round(percent, 1) for task, percent in percents.items()}
    won = [task for task in signs if signs[task] > 0]
    lost = [task for task in signs if signs[task] < 0 and task in gain["negative_transfer"]]
    same = [task for task in signs if task not in won and task not in lost]
    subject = SUBJECT.get(result["mode"], "Learning jointly")
    sentences = [(f"{subject} helps", won), ("No gain", same), ("Negative transfer", lost)]
    return [
        *(_sentence(result, claim, tasks) for claim, tasks in sentences if tasks),
        *_over_ensemble(gain),
    ]


def _over_ensemble(gain: Mapping[str, Any]) -> list[str]:
    percent = (gain.get("over_ensemble") or {}).get("delta_m_percent")
    if percent is None:
        return []
    return [f"Over the ensemble of all single modalities: {format_percent(percent)}."]


def _sentence(result: Mapping[str, Any], claim: str, tasks: list[str]) -> str:
    percents = result["gain"]["per_task"]
    if len(tasks) > 1:
        each = ", ".join(f"{task} ({format_percent(percents[task])})" for task in tasks)
        return f"{claim} on {len(tasks)} of {len(percents)} tasks: {each}."
    (task,) = tasks
    metric, baseline = primary_metric(result, task), compared_baseline(result, task)
    ours = format_score(score_of(result["test"], task, metric))
    theirs = format_score(score_of(result["baselines"][baseline], task, metric))
    how = AGAINST.get(baseline, f"with {baseline} alone")
    percent = format_percent(percents[task])
    return f"{claim}: {task} {metric} {ours} vs {theirs} {how} ({percent})."
