"""Lines on what was fitted to validation rows: temperatures and thresholds, on the test split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jlrun.reporting.recorders.formats import format_score

MOST_TASKS = 4  # that have a line; of more only the first ones
MOST_LABELS = 3  # whose thresholds are shown


def calibration_lines(result: Mapping[str, Any]) -> list[str]:
    """Return a line per task: its calibration error as trained, and with a temperature."""
    lines = []
    for task, found in (result.get("calibration") or {}).items():
        before, after = (found[part]["ece"] for part in ("test", "test_calibrated"))
        scores = f"{format_score(before)} as trained, {format_score(after)}"
        lines.append(f"{task} ECE {scores} with temperature {found['temperature']:.3g}")
    return _first(lines)


def threshold_lines(result: Mapping[str, Any]) -> list[str]:
    """Return a line per task: its scores at 0.5, and at thresholds tuned on validation rows."""
    lines = []
    for task, found in (result.get("thresholds") or {}).items():
        metric = next(name for name in ("f1", "macro_f1") if name in found["tuned"])
        if found["tuned_for"] == "balanced_accuracy" and "mean_class_accuracy" in found["tuned"]:
            metric = "mean_class_accuracy"
        half, tuned = (format_score(found[part][metric]) for part in ("half", "tuned"))
        lines.append(f"{task} {metric} {half} at 0.5, {tuned} at {_named(found['thresholds'])}")
    return _first(lines)


def _named(thresholds: Mapping[str, float]) -> str:
    shown = [f"{value:.2f} ({name})" for name, value in list(thresholds.items())[:MOST_LABELS]]
    return ", ".join(shown) + (", …" if len(thresholds) > MOST_LABELS else "")


def _first(lines: list[str]) -> list[str]:
    left = len(lines) - MOST_TASKS
    more = [f"and {left} more in result.json"] if left > 0 else []
    return [*lines[:MOST_TASKS], *more]
