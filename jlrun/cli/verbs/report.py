"""``jlrun report DIR|RUN …``: one HTML page that needs no network."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from jlrun.cli.verbs import given_path, parser
from jlrun.errors import UserError
from jlrun.files.lock import held_output
from jlrun.files.places import check_file
from jlrun.wording import counted

NAME = "report.html"


def main(args: Sequence[str]) -> int:
    """Write the page and print where it is.

    Raises:
        UserError: if a folder is missing, the file can't be written, or a library is missing.
    """
    options = _parsed(args)
    for folder in options.folders:
        if not folder.is_dir():
            raise UserError.of(
                str(folder), "there is no such folder; name that of a run, or of runs"
            )
    file = options.output or (
        options.folders[0] / NAME if len(options.folders) == 1 else Path(NAME)
    )
    if file.suffix not in (".html", ".htm"):
        raise UserError.of("--output", f"'{file}' is no .html")
    check_file(file, "--output")

    from jlrun.runs.listing.found import find_runs
    from jlrun.runs.report.writing import check_libraries, write_page

    check_libraries()
    from jlrun.runs.report.page import page_of

    found = {e.directory.resolve(): e for folder in options.folders for e in find_runs(folder)}
    page = page_of(list(found.values()), _root(options.folders))
    with held_output(file, "--output"):
        write_page(page, file)
    print(f"written: {file} ({counted(len(page.runs), 'run')}, {file.stat().st_size / 1e6:.1f} MB)")
    return 0


def _parsed(args: Sequence[str]) -> Namespace:
    parse = parser(
        "report",
        "Write one HTML page: verdict, scores with intervals, curves, failures, and how to "
        "reproduce it. It needs no network, and may be sent as it is.",
    )
    parse.add_argument(
        "folders",
        nargs="+",
        type=given_path,
        metavar="DIR",
        help="a run, a sweep, a study, or a folder of runs such as outputs",
    )
    parse.add_argument(
        "--output",
        type=given_path,
        metavar="FILE",
        help="default: report.html in DIR; of several, in the working directory",
    )
    return parse.parse_args(args)


def _root(folders: Sequence[Path]) -> Path:
    """Return the folder that names in the page are relative to."""
    if len(folders) == 1:
        return folders[0]
    return Path(os.path.commonpath([folder.absolute() for folder in folders]))
