"""Runs of jlrun for a table: each in a folder of its own, skipped where it is complete."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def run(folder: Path, *overrides: str) -> dict[str, Any]:
    """Return the result of ``jlrun OVERRIDES`` in ``folder``, running it if need be.

    Raises:
        RuntimeError: if it fails.
    """
    file = folder / "result.json"
    if file.is_file():
        result = json.loads(file.read_text())
        if result["status"] == "completed":
            return result
    command = [sys.executable, "-m", "jlrun", *overrides, f"hydra.run.dir={folder}"]
    if (folder / "config.yaml").is_file():
        command = [sys.executable, "-m", "jlrun", "resume", str(folder)]
    print(" ".join(command), file=sys.stderr, flush=True)
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return json.loads(file.read_text())


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
