"""Lines on shared spaces of modalities, for the end of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jlrun.reporting.recorders.formats import format_score


def retrieval_lines(result: Mapping[str, Any]) -> list[str]:
    """Return a line per pair of modalities of each space: recall at 1, 5, 10 both ways."""
    found = result.get("retrieval") or {}
    lines = []
    for space, pairs in found.items():
        prefix = f"{space}, " if len(found) > 1 else ""
        for directions in pairs.values():
            lines += [f"{prefix}{way}: {_recalls(scores)}" for way, scores in directions.items()]
    return lines


def prompt_lines(result: Mapping[str, Any]) -> list[str]:
    """Return a line per task and modality: accuracy of classification by class names."""
    found = result.get("shared_space") or {}
    lines = []
    for space, content in found.items():
        prefix = f"{space}, " if len(found) > 1 else ""
        for task, modalities in content["prompts"].items():
            rows = {m: scores for m, scores in modalities.items() if isinstance(scores, Mapping)}
            for modality, scores in rows.items():
                text = ", ".join(_accuracies(scores))
                lines.append(f"{prefix}{task} by {modality}: {text}")
    return lines


def _recalls(scores: Mapping[str, float]) -> str:
    shares = " / ".join(format_score(scores[f"recall_at_{k}"]) for k in (1, 5, 10))
    median, chance = scores["median_rank"], scores["chance_at_1"]
    return f"R@1/5/10 {shares}, median rank {median:g} (chance at 1 {format_score(chance)})"


def _accuracies(scores: Mapping[str, float]) -> Iterator[str]:
    yield f"{format_score(scores['accuracy'])} (chance {format_score(scores['chance'])})"
    if "unseen_accuracy" in scores:
        yield f"on unseen classes {format_score(scores['unseen_accuracy'])}"
        among, chance = scores["among_unseen"], scores["chance_among_unseen"]
        yield f"among these alone {format_score(among)} (chance {format_score(chance)})"
