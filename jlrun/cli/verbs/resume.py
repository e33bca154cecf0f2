"""``jlrun resume RUN``: go on with an interrupted, killed or failed run, or train one longer."""

from __future__ import annotations

from jlrun.cli.verbs.arguments import given_path, parser
from jlrun.errors import UserError


def main(args: list[str]) -> int:
    """Resume the run in a directory."""
    parse = parser("resume", "Go on with an interrupted, killed or failed run, exactly.")
    parse.add_argument("run", type=given_path, help="run directory")
    parse.add_argument(
        "overrides", nargs="*", metavar="epochs=N", help="train it, also a complete one, for N"
    )
    parsed = parse.parse_args(args)
    epochs = _epochs(parsed.overrides)

    from jlrun.runs.execution import resume

    resume(parsed.run, epochs)
    return 0


def _epochs(overrides: list[str]) -> int | None:
    """Return the number of epochs asked for.

    Raises:
        UserError: for anything else, or something that is no such number.
    """
    found = None
    for override in overrides:
        key, _, value = override.partition("=")
        if key != "epochs":
            message = "a run is resumed as it was begun; epochs=N alone may change"
            raise UserError.of(override, message)
        if not value.isdecimal() or int(value) < 1:
            raise UserError.of("epochs", f"'{value}' is not a number of epochs, as in epochs=8")
        found = int(value)
    return found
