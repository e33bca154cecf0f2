"""What a run says after its table of results: which model was kept, the cost, where things lie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jlrun.recorders.formats import format_count, format_score, format_seconds
from jlrun.recorders.header_lines import fact_lines, short_path
from jlrun.recorders.zero_shot_lines import zero_shot_lines


def closing_lines(result: Mapping[str, Any], run_dir: Path) -> list[str]:
    """Return aligned lines for the end of a run."""
    return fact_lines(
        {
            "zero-shot": zero_shot_lines(result),
            "selected": _selected(result),
            "cost": _cost(result.get("cost") or {}),
            "results": [short_path(run_dir)],
            "curves": ["jlrun board"],
        }
    )


def _selected(result: Mapping[str, Any]) -> list[str]:
    selected, objective = result.get("selected"), result.get("objective")
    if not selected:
        return []
    text = f"{selected['phase']}, epoch {selected['epoch']}"
    if objective:
        text += f" ({objective['name']} {format_score(objective['value'])})"
    return [text]


def _cost(cost: Mapping[str, float | None]) -> list[str]:
    texts = []
    if (value := cost.get("train_seconds")) is not None:
        texts.append(f"{format_seconds(value)} of training")
    if (value := cost.get("samples_per_second")) is not None:
        texts.append(f"{format_count(value)} samples/s")
    if (value := cost.get("peak_memory_bytes")) is not None:
        texts.append(f"{format_count(value / 1e6)} MB at most")
    return [", ".join(texts)] if texts else []
