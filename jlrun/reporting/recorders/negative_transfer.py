"""Which tasks the others hurt, and why, as far as the run measured it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any


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
    """Say which task's step raises the loss of ``task`` most, if any does."""
    sources = {
        source: targets[task]
        for source, targets in affinity.items()
        if source != task and targets.get(task, 0.0) < 0
    }
    if not sources:
        return []
    source = min(sources, key=lambda name: sources[name])
    return [f"a step on {source} alone raises its loss by {-100 * sources[source]:.2g} %"]
