"""``jlrun study KEY=VALUE …``: does learning jointly help on this data, where, and how much?"""

from __future__ import annotations

import textwrap
from pathlib import Path

from jlrun.cli.verbs import parser
from jlrun.errors import DONE, FAILED, UserError
from jlrun.wording import counted


def main(args: list[str]) -> int:
    """Run a study of a data set and print its answers; return 1 if one of its runs failed.

    Raises:
        UserError: if the data or an override is wrong; nothing is trained then.
        Interrupted: if the user stops it; the same command goes on.
    """
    parse = parser(
        "study",
        "Train each task and modality alone, together and one after the other, at equal budget and "
        "with several seeds, and say which help which. The same command goes on with what an "
        "interruption left.",
    )
    parse.add_argument(
        "overrides",
        nargs="+",
        metavar="KEY=VALUE",
        help="a data set and what it needs, such as dataset=digits; study.budget=30min (90s, 2h, "
        "40runs, 5000steps), study.seeds=3, study.questions=[joint,transfer], "
        "study.weightings=[pcgrad], study.pretraining=[simclr], study.shares=[0.1], "
        "study.models=2, study.dry=true, study.dir=FOLDER",
    )
    overrides = parse.parse_intermixed_args(args).overrides
    from jlrun.cli.verbs import report
    from jlrun.reporting.recorders.header_lines import short_path
    from jlrun.runs.report.writing import check_libraries
    from jlrun.runs.study.page import PAGE
    from jlrun.runs.study.sentences import sentences
    from jlrun.runs.study.study import run_study

    def say(line: str) -> None:
        print(line, flush=True)

    folders: list[Path] = []
    answers = run_study(overrides, say, folders.append)
    if answers is not None:
        folder = folders[0]
        say("")
        for sentence in sentences(answers):
            say(textwrap.fill(sentence, 100, subsequent_indent="  "))
        if answers.failed:
            say(f"{counted(answers.failed, 'run')} failed; study.md states why")
        say(f"\nwritten: {short_path(folder / PAGE)}")
        try:
            check_libraries()
        except UserError as error:
            say(f"no HTML page: {error}")
        else:
            report.main([short_path(folder)])
    return FAILED if answers is not None and answers.failed else DONE
