"""``jlrun compare RUN RUN …``: what differs between runs, and by how much."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jlrun.cli.verbs import given_path, parser
from jlrun.errors import UserError
from jlrun.files.atomic import finite, replace
from jlrun.files.places import check_file
from jlrun.reporting.recorders.result_table import ResultTable
from jlrun.runs.comparing.configs import config_differences
from jlrun.runs.comparing.tables import LETTERS, comparison_lines
from jlrun.runs.listing.found import Found, find_runs
from jlrun.runs.listing.table import as_json
from jlrun.wording import terminal_width, wrapped

if TYPE_CHECKING:
    from jlrun.runs.comparing.paired import PairedDifference

WIDTH = 150  # of a line that goes to no terminal


def main(args: Sequence[str]) -> int:
    """Print the comparison, and draw the curves if a file is named.

    Raises:
        UserError: if there are no two runs, more than letters, or the file can't be written.
    """
    options = _parsed(args)
    if options.output is not None:
        if options.output.suffix not in (".png", ".svg", ".pdf"):
            raise UserError.of("--output", f"'{options.output}' is not .png, .svg or .pdf")
        check_file(options.output, "--output")
    runs = _runs(options.runs)

    from jlrun.runs.comparing.paired import paired_differences

    differences, reasons = paired_differences([run.directory for run in runs])
    if options.json:
        print(json.dumps(finite(_content(runs, differences, reasons)), indent=2))
    else:
        room = terminal_width(WIDTH)
        notes = [wrapped(reason, room) for reason in reasons]
        lines = [*comparison_lines(runs, room), *_paired_lines(differences, room), *notes]
        print("\n".join(lines))
    if options.output is not None:
        _draw(runs, options.output)
        if not options.json:
            print(f"curves: {options.output}")
    return 0


def _parsed(args: Sequence[str]) -> Namespace:
    parse = parser(
        "compare",
        "Show what differs between the configurations of runs, their scores with intervals, gains "
        "and cost, and the differences from the first run, paired over the test rows.",
    )
    parse.add_argument(
        "runs", nargs="+", type=given_path, metavar="RUN", help="runs, or sweeps: all their runs"
    )
    parse.add_argument("--output", type=given_path, metavar="PNG", help="also draw their curves")
    parse.add_argument("--json", action="store_true", help="for programs")
    return parse.parse_args(args)


def _runs(folders: Sequence[Path]) -> list[Found]:
    found = dict[Path, Found]()
    for folder in folders:
        runs = [run for entry in find_runs(folder) for run in entry.runs]
        if not runs:
            raise UserError.of(str(folder), "there is no run here; `jlrun runs` lists them")
        found |= {run.directory.resolve(): run for run in runs}
    if not 2 <= len(found) <= len(LETTERS):
        many = f"{len(found)} {'run' if len(found) == 1 else 'runs'}"
        raise UserError.of("RUN", f"{many}; name two at least, and {len(LETTERS)} at most")
    return list(found.values())


def _paired_lines(differences: Sequence[PairedDifference], room: int) -> list[str]:
    if not differences:
        return []
    rows = tuple(
        (
            f"{LETTERS[d.run]} - {LETTERS[d.against]}  {d.task} {d.metric}",
            f"{d.difference:+.3f}",
            f"{d.interval[0]:+.3f} to {d.interval[1]:+.3f}",
            f"{d.rows:,}",
            d.call,
        )
        for d in differences
    )
    header = ("difference", "larger is better", "95 % interval", "rows", "")
    note = (
        "paired over the test rows of these models; called better or worse with Bonferroni's "
        "correction over this table. Another seed may differ more."
    )
    return ["", *ResultTable(header, rows).lines(room), wrapped(note, room)]


def _content(
    runs: Sequence[Found], differences: Sequence[PairedDifference], reasons: Sequence[str]
) -> dict[str, object]:
    return {
        "runs": as_json(runs),
        "config": config_differences([run.config for run in runs]),
        "differences": [each.to_json() for each in differences],
        "not_paired": list(reasons),
    }


def _draw(runs: Sequence[Found], file: Path) -> None:
    from jlrun.files.run_directory import RunDirectory
    from jlrun.reporting.figures.compared import NamedCurves, compared_curves
    from jlrun.reporting.recorders.figure_files import figure_bytes, format_of
    from jlrun.reporting.recorders.header_lines import short_path
    from jlrun.reporting.recorders.metrics_csv import read_curves

    curves = [
        NamedCurves(
            f"{letter}  {short_path(run.directory)}",
            read_curves(RunDirectory(run.directory).metrics),
            run.result.get("primary") or {},
        )
        for letter, run in zip(LETTERS, runs, strict=False)
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    replace(file, figure_bytes(compared_curves(curves), format_of(file)))
