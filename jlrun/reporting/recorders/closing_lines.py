"""Lines after the table of results: which model was kept, the cost, where files lie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jlrun.reporting.recorders.formats import format_count, format_score, format_seconds
from jlrun.reporting.recorders.header_lines import fact_lines, short_path
from jlrun.reporting.recorders.missing_lines import contribution_lines, missing_lines
from jlrun.reporting.recorders.result_table import primary_metric, score_of
from jlrun.reporting.recorders.shared_space_lines import prompt_lines, retrieval_lines

LEAVE_ONE_OUT = "leave_one_domain_out"


def closing_lines(result: Mapping[str, Any], run_dir: Path) -> list[str]:
    """Return aligned lines for the end of a run."""
    return fact_lines(
        {
            "zero-shot": zero_shot_lines(result),
            "labels": _labels(result),
            "modalities": contribution_lines(result),
            "missing": missing_lines(result),
            "retrieval": retrieval_lines(result),
            "by name": prompt_lines(result),
            "no scores": _unscored(result),
            "selected": _selected(result),
            "left out": _left_out(result),
            "epochs": _other_epochs(result),
            "gap": _gap(result),
            "between": _between(result),
            "cost": _cost(result.get("cost") or {}),
            "results": [short_path(run_dir)],
            "curves": ["jlrun board"],
        }
    )


def _labels(result: Mapping[str, Any]) -> list[str]:
    """Return how many labels the scores of a task leave out."""
    lines = []
    for task, scores in (result.get("test") or {}).items():
        count = int(scores.get("labels_left_out") or 0)
        if count:
            what = "label occurs" if count == 1 else "labels occur"
            lines.append(f"{task}: {count} {what} in no test row, and macro_f1 leaves them out")
    return lines


def _selected(result: Mapping[str, Any]) -> list[str]:
    selected, objective = result.get("selected"), result.get("objective")
    if not selected:
        return []
    text = f"{selected['phase']}, epoch {selected['epoch']}"
    if objective and not result.get(LEAVE_ONE_OUT):  # which is another objective
        text += f" ({objective['name']} {format_score(objective['value'])})"
    return [text]


def _unscored(result: Mapping[str, Any]) -> list[str]:
    """Return which tasks have no test score, and why."""
    return [f"{task}: {why}" for task, why in (result.get("unscored") or {}).items()]


def _left_out(result: Mapping[str, Any]) -> list[str]:
    """Return the recipe's scores on each source that it was trained without."""
    found = result.get(LEAVE_ONE_OUT)
    if not found:
        return []
    lines = []
    for source in (name for name in found if name != "mean"):
        scores = ", ".join(f"{task} {format_score(s)}" for task, s in found[source].items())
        lines.append(f"{source}, trained without it: {scores}")
    return [*lines, f"mean {format_score(found['mean'])}: what a sweep should compare"]


def _other_epochs(result: Mapping[str, Any]) -> list[str]:
    """Return what other epochs would have scored on the test split."""
    lines = []
    for task in result["test"] if result.get("oracle") else ():
        metric = primary_metric(result, task)
        found = {"selected": result["test"], "last": result["last"], "oracle": result["oracle"]}
        by_epoch = {name: score_of(table, task, metric) for name, table in found.items()}
        scores = ", ".join(f"{name} {format_score(score)}" for name, score in by_epoch.items())
        lines.append(f"test {task} {metric} of epochs: {scores} (best on the test itself)")
    return lines


def _gap(result: Mapping[str, Any]) -> list[str]:
    closed = (result.get("gain") or {}).get("gap_closed_percent") or {}
    each = ", ".join(f"{task} {percent:.0f} %" for task, percent in closed.items())
    return [f"closed between sources alone and a labelled target: {each}"] if closed else []


def _between(result: Mapping[str, Any]) -> list[str]:
    """Return which model between the weights before and after fine-tuning validation selects."""
    for point in result.get("wise_ft") or ():
        if point["selected"]:
            scores = ", ".join(
                f"{task} {format_score(metrics[primary_metric(result, task)])}"
                for task, metrics in point["test"].items()
            )
            return [f"selected share of fine-tuning {point['alpha']:g}: test {scores} (WiSE-FT)"]
    return []


def _cost(cost: Mapping[str, float | None]) -> list[str]:
    texts = []
    if (value := cost.get("train_seconds")) is not None:
        texts.append(f"{format_seconds(value)} of training")
    if (value := cost.get("samples_per_second")) is not None:
        texts.append(f"{format_count(value)} samples/s")
    if (value := cost.get("peak_memory_bytes")) is not None:
        texts.append(f"{format_count(value / 1e6)} MB at most")
    return [", ".join(texts)] if texts else []


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
