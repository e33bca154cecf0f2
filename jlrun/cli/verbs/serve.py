"""``jlrun serve RUN``: a run's predictions for programs on this machine, over HTTP."""

from __future__ import annotations

from argparse import ArgumentTypeError

from jlrun.cli.verbs import given_path, parser

PORT = 8000
MEGABYTES = 10


def main(args: list[str]) -> int:
    """Serve predictions on the loopback interface until Ctrl-C.

    Raises:
        UserError: if FastAPI or uvicorn is not installed, or the run has no selected model.
    """
    parse = parser("serve", "Answer JSON and images with predictions, on this machine alone.")
    add = parse.add_argument
    add("run", type=given_path, help="run directory")
    add("--port", type=_port, default=PORT, help=f"default {PORT}")
    largest = f"size of the largest request that is read (default {MEGABYTES})"
    add("--megabytes", type=_positive, default=MEGABYTES, help=largest)
    fitted = "probabilities at the temperature fitted to validation rows; default: as trained"
    add("--calibrated", action="store_true", help=fitted)
    tuned = "decide yes-or-no tasks and labels by thresholds tuned on validation rows, not by 0.5"
    add("--tuned", action="store_true", help=tuned)
    parsed = parse.parse_args(args)

    from jlrun.runs.new_predictions import Asked
    from jlrun.runs.serving import serve

    asked = Asked(calibrated=parsed.calibrated, tuned=parsed.tuned)
    serve(parsed.run, asked, parsed.port, parsed.megabytes * 10**6)
    return 0


def _port(text: str) -> int:
    return _whole(text, 0, 65535)


def _positive(text: str) -> int:
    return _whole(text, 1, 10_000)


def _whole(text: str, least: int, most: int) -> int:
    if not text.isdecimal() or not least <= int(text) <= most:
        raise ArgumentTypeError(f"'{text}' is no whole number from {least} to {most}")
    return int(text)
