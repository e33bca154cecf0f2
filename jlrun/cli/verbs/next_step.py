"""``jlrun`` alone: what is most useful next in the folder that one is in."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from jlrun.cli.verbs.board import newest_in
from jlrun.errors import UserError
from jlrun.files.run_directory import OUTPUTS, RunDirectory

_TABLES = (".csv", ".tsv", ".jsonl", ".parquet")
_WIDEST = 46  # command, beyond which its description begins a line
_MOST_FILES = 1000  # of the folder, looked through for tables


def main() -> int:
    """Print the next steps and return 0."""
    print("jlrun trains joint-learning experiments: transfer, multi-task, multimodal learning.\n")
    steps = [*_of_runs(), *_of_tables(), *_always()]
    width = max(len(command) for command, _ in steps if len(command) <= _WIDEST)
    for command, what in steps:
        gap = f"\n  {'':<{width}}" if len(command) > width else ""
        print(f"  {command:<{width}}{gap}  {what}")
    return 0


def _of_runs() -> Iterator[tuple[str, str]]:
    if not Path(OUTPUTS).is_dir():
        return
    try:
        newest = newest_in(Path(OUTPUTS))
    except UserError:  # there is none
        return
    shown = shlex.quote(os.fspath(newest))
    status = _status(newest)
    if status == "completed":
        yield f"jlrun report {shown}", "the newest run as a page: answer, scores, curves"
    elif status:
        what = "it was killed, or still trains" if status == "begun" else f"it {status}"
        yield f"jlrun resume {shown}", f"go on with the newest run: {what}"
    yield "jlrun board", f"curves and figures of the runs in {OUTPUTS}/"
    yield "jlrun runs", "these runs and their scores"


def _status(folder: Path) -> str:
    """Return how a run ended, ``begun`` if it did not; empty for sweeps and studies."""
    run = RunDirectory(folder)
    if not run.config.is_file():
        return ""
    try:
        result = json.loads(run.result.read_text(encoding="utf-8"))
        return {"interrupted": "was interrupted"}.get(result["status"], str(result["status"]))
    except (OSError, ValueError, KeyError, TypeError):
        return "begun"


def _of_tables() -> Iterator[tuple[str, str]]:
    names = (each.name for each in islice(Path().iterdir(), _MOST_FILES))
    found = sorted(name for name in names if name.endswith(_TABLES))
    if found:
        yield (
            f"jlrun init-config {shlex.quote(found[0])}",
            "an experiment from the table here",
        )


def _always() -> Iterator[tuple[str, str]]:
    yield "jlrun mode=transfer", "a run without data of your own: offline, on a CPU, in a minute"
    yield "jlrun --help", "all verbs, options and groups"
    yield "jlrun completion", "complete verbs and options in your shell"
