"""``jlrun board [DIR] [--newest] [--port N]``: TensorBoard over the runs in a folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from jlrun.cli.verbs import parser
from jlrun.errors import UserError
from jlrun.files.run_directory import OUTPUTS, RunDirectory


def main(args: Sequence[str]) -> NoReturn:
    """Become TensorBoard, which serves until it is interrupted: there is no other process to end.

    Raises:
        UserError: if there is no such folder, or no run in it.
    """
    parse = parser(
        "board",
        "Show a run, a sweep, a study, or all runs in a folder with TensorBoard: curves, and "
        "HParams of all runs.",
    )
    parse.add_argument("folder", nargs="?", default=OUTPUTS, help=f"default: {OUTPUTS}")
    newest = "of the runs, sweeps and studies in the folder, only the one that began last"
    parse.add_argument("--newest", action="store_true", help=newest)
    parse.add_argument("--port", type=int, default=6006)
    options = parse.parse_args(args)
    folder = Path(options.folder).expanduser()
    if not folder.is_dir():
        raise UserError.of(
            str(folder), "there is no such folder; runs go to outputs/ of the working directory"
        )
    shown = newest_in(folder) if options.newest else folder
    print(f"jlrun board over {shown}", flush=True)
    command = [sys.executable, "-m", "jlrun.reporting.board", "--logdir", str(shown)]
    # Without the working directory among the places that modules are imported from.
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    os.execve(sys.executable, [*command, "--port", str(options.port)], environment)


def newest_in(folder: Path) -> Path:
    """Return the run, sweep or study in a folder that began last.

    Raises:
        UserError: if there is none.
    """
    began = {path: file.stat().st_mtime_ns for path, file in _begun(folder)}
    if not began:
        raise UserError.of(str(folder), "there is no run in this folder, nor below it")
    return max(began, key=lambda path: began[path])


def _begun(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Yield each run, sweep and study, with a file that is written when it begins."""
    for name, below, _ in os.walk(folder):
        path, run = Path(name), RunDirectory(Path(name))
        marks = (run.study, run.sweep_config, run.config)
        mark = next((mark for mark in marks if mark.is_file()), None)
        if mark is not None:
            below.clear()
            yield path, mark
