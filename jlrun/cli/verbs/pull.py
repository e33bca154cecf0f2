"""``jlrun pull OWNER/NAME``: a run that was pushed to the Hugging Face Hub, into a folder."""

from __future__ import annotations

import shlex
from pathlib import Path

from jlrun.cli.verbs import given_path, parser
from jlrun.files.run_directory import OUTPUTS


def main(args: list[str]) -> int:
    """Write a run from the Hub into a folder, checked by its checksums.

    Raises:
        UserError: if there is no such run, it is damaged, or something is in the way.
        RunError: if the Hub can't be reached.
    """
    parse = parser(
        "pull",
        "Pull a run from the Hugging Face Hub and check it by its checksums: to predict, evaluate, "
        "export and serve as any other run.",
    )
    add = parse.add_argument
    add("repository", metavar="OWNER/NAME", help="as given to `jlrun push`")
    default = f"{OUTPUTS}/pulled/OWNER/NAME"
    add("--output", type=given_path, help=f"a new or empty folder; default: {default}")
    add("--revision", help="branch, tag or commit; default: the newest")
    parsed = parse.parse_args(args)

    from jlrun.runs import hub

    output = parsed.output or Path(OUTPUTS, "pulled", parsed.repository)
    hub.pull(parsed.repository, output, parsed.revision)
    print(output)
    print(f"next: jlrun predict {shlex.quote(str(output))} --input FILE --output predictions.csv")
    return 0
