"""``jlrun resume RUN``: go on with an interrupted, killed or failed run."""

from __future__ import annotations

from jlrun.verbs.arguments import given_path, parser


def main(args: list[str]) -> int:
    """Resume the run in a directory."""
    parse = parser("resume", "Go on with an interrupted, killed or failed run, exactly.")
    parse.add_argument("run", type=given_path, help="run directory")
    run = parse.parse_args(args).run

    from jlrun.execution import resume

    resume(run)
    return 0
