"""The answer of a run in a sentence or two: does learning jointly help?"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from jlrun.evaluation.bootstrap import kind_of
from jlrun.reporting.recorders.formats import format_percent, format_score
from jlrun.reporting.recorders.over_reference import REFERENCE, over_reference
from jlrun.reporting.recorders.result_table import (
    compared_baseline,
    num_compared,
    primary_metric,
    score_of,
)

SUBJECT = {
    "transfer": "Transfer",
    "multitask": "Multi-task learning",
    "multimodal": "Fusing modalities",
}
AGAINST = {
    "scratch": "from scratch",
    "single_task": "with its own model",
    "ensemble": "with the ensemble",
}
_OF_SPLIT = "of the test split"


def verdict(result: Mapping[str, Any]) -> list[str]:
    """Return the sentences, of tasks that gain, that do not, that lose, and why.

    A gain that rounds to 0.0 % is none. One that the size of the test split could explain is
    reported as such (`jlrun.evaluation.bootstrap.kind_of`).
    """
    gain = result.get("gain")
    if not gain:
        return hurt_sentences(result, lost=())
    if gain["against"] == REFERENCE:  # there is nothing else to compare with
        return [*over_reference(result), *hurt_sentences(result, lost=())]
    percents = {task: value for task, value in gain["per_task"].items() if value is not None}
    kinds = {task: _kind(gain, task, percent) for task, percent in percents.items()}
    subject = SUBJECT.get(result["mode"], "Learning jointly")
    claims = {
        "won": f"{subject} helps",
        "same": "No gain",
        "noise": f"Within the noise {'between folds' if result.get('folds') else _OF_SPLIT}",
        "lost": "Negative transfer",
    }
    sentences = [
        (claim, [task for task, found in kinds.items() if found == kind])
        for kind, claim in claims.items()
    ]
    return [
        *(_sentence(result, claim, tasks) for claim, tasks in sentences if tasks),
        *hurt_sentences(result, [task for task, kind in kinds.items() if kind == "lost"]),
        *_over_ensemble(gain),
        *over_reference(result),
    ]


def _kind(gain: Mapping[str, Any], task: str, percent: float) -> str:
    """Return what the run found; results without it go by two standard errors."""
    found = (gain.get("kind") or {}).get(task)
    return found or kind_of(percent, (gain.get("standard_error") or {}).get(task))


def _error(result: Mapping[str, Any], task: str) -> float:
    return (result["gain"].get("standard_error") or {}).get(task, 0.0)


def _with_error(result: Mapping[str, Any], task: str) -> str:
    gain, error = result["gain"], _error(result, task)
    percent = format_percent(gain["per_task"][task])
    if task in (gain.get("spread") or {}):
        percent += " of the baseline's spread"
    if task in (gain.get("interval") or {}):
        low, high = gain["interval"][task]
        return f"{percent}, 95 % interval {low:+.1f} to {high:+.1f}"
    return f"{percent}, ± {error:.1f}" if error else percent


def _over_ensemble(gain: Mapping[str, Any]) -> list[str]:
    over = gain.get("over_ensemble") or {}
    percent, kinds = over.get("delta_m_percent"), {*(over.get("kind") or {"": "won"}).values()}
    if percent is None:
        return []
    if not kinds & {"won", "lost"}:
        noise = f"within the noise on each task ({format_percent(percent)})"
        return [f"Over the ensemble of all single modalities: {noise}."]
    if round(percent, 1) < 0:
        by = format_percent(-percent).lstrip("+")
        return [f"The ensemble of all single modalities is better: by {by}."]
    return [f"Over the ensemble of all single modalities: {format_percent(percent)}."]


def _over_one(result: Mapping[str, Any]) -> str:
    """Return which single modality the gains are over."""
    over_ensemble = "over_ensemble" in result["gain"]
    return f" over {result['gain']['against']} alone" if over_ensemble else ""


def _sentence(result: Mapping[str, Any], claim: str, tasks: list[str]) -> str:
    percents = result["gain"]["per_task"]
    if len(tasks) > 1:
        each = ", ".join(f"{task} ({_with_error(result, task)})" for task in tasks)
        return f"{claim} on {len(tasks)} of {len(percents)} tasks{_over_one(result)}: {each}."
    (task,) = tasks
    count = num_compared(result, task)
    if count > 1:
        return f"{claim}: {task} ({_with_error(result, task)} in the mean of {count} metrics)."
    metric, baseline = primary_metric(result, task), compared_baseline(result, task)
    ours = format_score(score_of(result["test"], task, metric))
    theirs = format_score(score_of(result["baselines"][baseline], task, metric))
    how = AGAINST.get(baseline, f"with {baseline} alone")
    return f"{claim}: {task} {metric} {ours} vs {theirs} {how} ({_with_error(result, task)})."


def hurt_sentences(result: Mapping[str, Any], lost: Collection[str]) -> list[str]:
    """Return a sentence for each task that lost against its baseline or that most updates opposed.

    Args:
        result: content of ``result.json``.
        lost: tasks with a negative gain.
    """
    diagnosis = result.get("diagnosis")
    if not diagnosis:
        return []
    sentences = []
    for task in diagnosis["opposed"]:
        against = diagnosis["against_update"].get(task, 0.0)
        if task not in lost and against <= 0.5:
            continue
        reasons = [
            *_opposed("the update opposes its gradient", against),
            *_most_opposed(diagnosis["opposed"][task]),
            *_most_raised(diagnosis["affinity"], task),
        ]
        if reasons:
            sentences.append(f"{task} is hurt: {'; '.join(reasons)}.")
    return sentences


def _most_opposed(shares: Mapping[str, float]) -> list[str]:
    other = max(shares, key=lambda name: shares[name])
    return _opposed(f"its gradient opposes {other}'s", shares[other])


def _opposed(what: str, share: float) -> list[str]:
    return [f"{what} in {100 * share:.0f} % of the measured steps"] if share > 0.5 else []


def _most_raised(affinity: Mapping[str, Mapping[str, float]], task: str) -> list[str]:
    """Return which task's step raises the loss of ``task`` most, if any does."""
    sources = {
        source: targets[task]
        for source, targets in affinity.items()
        if source != task and targets.get(task, 0.0) < 0
    }
    if not sources:
        return []
    source = min(sources, key=lambda name: sources[name])
    return [f"a step on {source} alone raises its loss by {-100 * sources[source]:.2g} %"]
