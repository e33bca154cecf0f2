"""Runs of jlrun for a table: each in a folder of its own, skipped where it is complete."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jlrun.config import checked
from jlrun.reporting.result import read_result
from jlrun.runs.execution import execute, resume


def run(folder: Path, *overrides: str) -> dict[str, Any]:
    """Return the result of ``jlrun OVERRIDES`` in ``folder``, running what is left of it.

    Raises:
        UserError, RunError: as the command.
    """
    result = read_result(folder)
    if result is None or result["status"] != "completed":
        print("jlrun", *overrides, file=sys.stderr, flush=True)
        if (folder / "config.yaml").is_file():
            resume(folder)
        else:
            execute(checked([*overrides, f"hydra.run.dir={folder}"]))
        result = read_result(folder)
    assert result is not None
    return result


def spread(values: Iterable[float]) -> str:
    """Return mean and standard deviation over seeds, of shares in percent."""
    found = [100 * value for value in values]
    if len(found) == 1:
        return f"{found[0]:.1f}"
    return f"{statistics.mean(found):.1f} ± {statistics.stdev(found):.1f}"


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
