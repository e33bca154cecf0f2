"""What a zero-shot run says about classes it never saw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jlrun.reporting.recorders.formats import format_score

MAX_NAMES = 12


def zero_shot_lines(result: Mapping[str, Any]) -> list[str]:
    """Return the scores of ``result.json``'s ``zero_shot``; none for other runs."""
    found = result.get("zero_shot")
    if not found:
        return []
    unseen, chance = found["unseen_classes"], found["chance"]
    names = ", ".join(unseen[:MAX_NAMES]) + (", …" if len(unseen) > MAX_NAMES else "")
    total = len(unseen) + len(found["seen_classes"])
    lines = [
        f"{len(unseen)} of {total} classes unseen: {names}",
        f"among unseen {_score(found, 'zsl_accuracy')} (chance {_score(chance, 'zsl_accuracy')})",
        f"among all    {_generalised(found)}, area {_score(found, 'ausuc')}",
    ]
    if found["calibrated"]:
        lines.append(f"calibrated   {_generalised(found['calibrated'])}")
    return lines


def _generalised(found: Mapping[str, Any]) -> str:
    parts = {"unseen": "unseen_accuracy", "seen": "seen_accuracy", "harmonic mean": "harmonic_mean"}
    return ", ".join(f"{label} {_score(found, name)}" for label, name in parts.items())


def _score(found: Mapping[str, Any], name: str) -> str:
    return format_score(found.get(name))
