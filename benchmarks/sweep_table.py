"""Markdown tables of sweeps, from their ``summary.json``.

    python benchmarks/sweep_table.py SWEEP [SWEEP…] > benchmarks/results/NAME.md

Each SWEEP is the folder of a ``jlrun --multirun`` over methods and seeds; sweeps of the same
problem stand in one table, sorted by Δm. Nothing is computed here but the order and the ranks.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from jlrun.runs.sweeps.comparison import mean_ranks


def groups_of(folder: Path) -> list[dict[str, Any]]:
    summary = json.loads((folder / "summary.json").read_text())
    return [group for group in summary["groups"] if group["completed"]]


def spread(scores: dict[str, Any], name: str, digits: int, factor: float = 1.0) -> str:
    found = scores.get(name)
    if found is None:
        return ""
    tail = "" if found["std"] is None else f" ± {factor * found['std']:.{digits}f}"
    return f"{factor * found['mean']:.{digits}f}{tail}"


def varied(groups: list[dict[str, Any]]) -> list[str]:
    """Return what sets each group apart from the others, without the word before the sign."""
    shared = set.intersection(*(set(group["overrides"]) for group in groups))
    labels = []
    for group in groups:
        told = [text for text in group["overrides"] if text not in shared]
        told = [text for text in told if not text.startswith("baselines_cache")]
        labels.append(" ".join(text.removeprefix("weighting=") for text in told))
    return labels


def primary_names(scores: dict[str, Any]) -> list[str]:
    """Return the first metric of each task, which is the one that stands for it."""
    first: dict[str, str] = {}
    for name in scores:
        if name.startswith("test/"):
            first.setdefault(name.split("/")[1], name)
    return list(first.values())


def main(folders: list[Path]) -> None:
    groups = [group for folder in folders for group in groups_of(folder)]
    names = primary_names(groups[0]["scores"])
    labels = varied(groups)
    means = [[group["scores"][name]["mean"] for name in names] for group in groups]
    ranks = mean_ranks(means)
    titles = [" ".join(name.removeprefix("test/").split("/")) + " %" for name in names]
    print("| method | " + " | ".join(titles) + " | Δm % | mean rank | training s |")
    print("|" + "---|" * (len(titles) + 4))
    order = sorted(
        range(len(groups)), key=lambda i: -groups[i]["scores"]["gain/delta_m_percent"]["mean"]
    )
    for i in order:
        scores = groups[i]["scores"]
        cells = [spread(scores, name, 1, 100) for name in names]
        cells += [spread(scores, "gain/delta_m_percent", 1), f"{ranks[i]:.1f}"]
        cells += [spread(scores, "cost/train_seconds", 0).split(" ")[0]]
        print(f"| {labels[i]} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main([Path(argument) for argument in sys.argv[1:]])
