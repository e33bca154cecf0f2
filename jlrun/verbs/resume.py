"""``jlrun resume RUN``: go on with an interrupted, killed or failed run."""

from __future__ import annotations

from pathlib import Path

from jlrun.verbs.arguments import parser


def main(args: list[str]) -> int:
    """Resume the run in a directory."""
    parse = parser("resume", "Go on with an interrupted, killed or failed run, exactly.")
    parse.add_argument("run", type=Path, help="run directory")
    run = parse.parse_args(args).run

    from jlrun.execution import resume

    resume(run)
    return 0
