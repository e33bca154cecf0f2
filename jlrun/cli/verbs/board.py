"""``jlrun board [DIR] [--port N]``: TensorBoard over the runs in a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from jlrun.cli.verbs import parser
from jlrun.errors import UserError


def main(args: Sequence[str]) -> int:
    """Serve until interrupted; return TensorBoard's exit code.

    Raises:
        UserError: if there is no such folder.
    """
    parse = parser("board", "Show the curves of the runs in a folder with TensorBoard.")
    parse.add_argument("folder", nargs="?", default="outputs", help="default: outputs")
    parse.add_argument("--port", type=int, default=6006)
    options = parse.parse_args(args)
    folder = Path(options.folder).expanduser()
    if not folder.is_dir():
        raise UserError.of(
            str(folder), "there is no such folder; runs go to outputs/ of the working directory"
        )
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder)]
    # Without the working directory among the places that modules are imported from.
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    process = subprocess.Popen([*command, "--port", str(options.port)], env=environment)
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.wait()  # the terminal sent the interrupt to TensorBoard too
        return 0
