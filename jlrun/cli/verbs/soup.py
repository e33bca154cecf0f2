"""``jlrun soup RUN RUN … --output DIR``: one model from the weights of several runs."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from jlrun.cli.verbs.arguments import given_path, names_data, parser
from jlrun.errors import UserError
from jlrun.files.lock import held_output
from jlrun.reporting.recorders.formats import MISSING, format_score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jlrun.runs.settings import RunSettings
    from jlrun.runs.soups import Member, RunSoup

UNIFORM, SOUP = "mean of all (not tested)", "soup"


def main(args: list[str]) -> int:
    """Average runs greedily and write the soup as a run; the runs are not changed.

    Raises:
        UserError: if runs are unfinished or incompatible, or the output exists.
    """
    parsed = _parsed(args)
    from jlrun.runs.soups import (
        check_compatible,
        check_output,
        each_run,
        read_members,
        soup_of_runs,
        write_soup,
    )

    check_output(parsed.output)
    members = read_members(each_run([Path(run) for run in parsed.runs]))
    check_compatible(members)
    settings = _settings(members[0], parsed.overrides)
    soup = soup_of_runs(members, settings, other_data=names_data(parsed.overrides))
    with held_output(parsed.output, "--output"):
        write_soup(soup, members, parsed.output)
    _print(soup, members, parsed.output)
    return 0


def _parsed(args: list[str]) -> Namespace:
    parse = parser(
        "soup",
        "Average the weights of runs of one architecture on the same data: from the best on "
        "validation down, each is added unless the validation score falls (Wortsman et al., "
        "'Model Soups', ICML 2022). BatchNorm statistics are averaged like weights.",
    )
    parse.add_argument(
        "runs", nargs="+", metavar="RUN", help="directories of completed runs, or of a sweep"
    )
    parse.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="values of the config for scoring, such as engine.device=cpu",
    )
    parse.add_argument("--output", type=given_path, required=True, help="run directory of the soup")
    parsed = parse.parse_intermixed_args(args)
    texts = [*parsed.runs, *parsed.overrides]
    parsed.overrides = [text for text in texts if "=" in text and not Path(text).exists()]
    parsed.runs = [text for text in texts if text not in parsed.overrides]
    return parsed


def _settings(member: Member, overrides: list[str]) -> RunSettings:
    """Return the settings by which all runs are scored."""
    from jlrun.cli.verbs.evaluate import changed
    from jlrun.config import check_values
    from jlrun.runs.saved_run import load_config
    from jlrun.runs.settings import RunSettings

    config = changed(load_config(member.directory)[0], overrides)
    if problems := check_values(config):
        raise UserError(problems)
    return RunSettings.parse(config)


def _print(soup: RunSoup, members: Sequence[Member], output: Path) -> None:
    from jlrun.reporting.recorders.result_table import ResultTable

    tasks = list(soup.primary.items())

    def row(name: str, score: float, test: object, mark: str = "") -> tuple[str, ...]:
        table = test if isinstance(test, dict) else {}
        cells = [table.get(task, {}).get(metric) for task, metric in tasks]
        shown = [MISSING if cell is None else format_score(cell) for cell in cells]
        return (name, mark, format_score(score), *shown)

    order = sorted(range(len(members)), key=lambda i: -soup.scores[i])
    rows = [
        row(
            str(members[i].directory),
            soup.scores[i],
            members[i].result["test"],
            "yes" if i in soup.chosen else "no",
        )
        for i in order
    ]
    rows.append(row(UNIFORM, soup.uniform, None))
    rows.append(row(SOUP, soup.score, soup.test))
    header = ("run", "in soup", soup.criterion, *(f"test {t} {m}" for t, m in tasks))
    print("\n".join(ResultTable(header, tuple(rows)).lines()))
    print()
    if len(soup.chosen) == 1:
        print(
            "The validation score falls with every other run, so that the soup is the best run. "
            "Runs that began with different weights rarely average well."
        )
    print("BatchNorm statistics are averaged like weights.")
    print(f"written: {output}")
