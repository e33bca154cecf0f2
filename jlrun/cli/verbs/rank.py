"""``jlrun rank dataset=NAME --runs RUN … --backbones MODEL:WEIGHTS …``: what to transfer from."""

from __future__ import annotations

import csv
import io
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jlrun.cli.verbs import given_path, parser
from jlrun.errors import UserError
from jlrun.files.atomic import write_json, write_text
from jlrun.files.places import check_file
from jlrun.reporting.recorders.formats import MISSING, format_score
from jlrun.runs.ranking import MEAN_RANK, TITLES
from jlrun.wording import counted

if TYPE_CHECKING:
    from rich.table import Table

    from jlrun.config import Composed
    from jlrun.runs.ranking.ranking import Ranking, Row

SUFFIXES = {"output": (".json", ".csv"), "figure": (".png", ".svg", ".pdf")}
UNBOUNDED = 1000  # columns of a table that goes to a file or another program


def main(args: list[str]) -> int:
    """Print the candidates for each task of the target, the best first; nothing is trained.

    Raises:
        UserError: for whatever is wrong with the target or a candidate.
    """
    parsed = _parsed(args)
    config = compose_target(parsed.overrides, parsed.config_dir).config
    from jlrun.runs.ranking.ranking import compare
    from jlrun.runs.ranking.sources import find_sources
    from jlrun.runs.settings import RunSettings

    sources = find_sources(parsed.runs, parsed.backbones, parsed.resize)
    rankings = compare(sources, RunSettings.parse(config), parsed.by)
    _print(rankings)
    if parsed.output is not None:
        _write(rankings, parsed.output)
    if parsed.figure is not None:
        _draw(rankings, parsed.figure)
    return 0


def _parsed(args: list[str]) -> Namespace:
    parse = parser(
        "rank",
        "Rank what could be transferred from by what it makes of the target's training rows, "
        "without training anything. The target is given as for a run: dataset=digits "
        "dataset.shots=5 tasks=[digit].",
    )
    parse.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="the target")
    parse.add_argument("--runs", nargs="+", default=[], metavar="RUN", help="finished runs")
    parse.add_argument(
        "--backbones",
        nargs="+",
        default=[],
        metavar="MODEL:WEIGHTS",
        help="torchvision models with a weight file or the name of published weights; "
        "MODEL alone: those that torchvision recommends",
    )
    parse.add_argument(
        "--resize", type=int, metavar="PIXELS", help="side that backbones resize images to"
    )
    parse.add_argument(
        "--by", choices=[*TITLES, MEAN_RANK], default="logme", help="sort by (default: logme)"
    )
    parse.add_argument(
        "--output", type=given_path, help="also write everything to this .json or .csv"
    )
    parse.add_argument("--figure", type=given_path, help="also draw this .png, .svg or .pdf")
    parse.add_argument("--config-dir", help="a further folder of options")
    parsed = parse.parse_intermixed_args(args)
    for option, suffixes in SUFFIXES.items():
        path = getattr(parsed, option)
        if path is not None and path.suffix not in suffixes:
            raise UserError.of(f"--{option}", f"'{path}' is not {' or '.join(suffixes)}")
        if path is not None:
            check_file(path, f"--{option}")
    for option in ("runs", "backbones"):
        texts = getattr(parsed, option)
        setattr(parsed, option, [text for text in texts if not _is_override(text)])
        parsed.overrides += filter(_is_override, texts)
    return parsed


def _is_override(text: str) -> bool:
    """Return whether a value of an option with several is an override, as in --runs A B seed=1.

    ``resnet18:/a=b.pth`` is a model, and what exists is a run.
    """
    key, sign, _ = text.partition("=")
    return bool(sign) and ":" not in key and not Path(text).exists()


def _print(rankings: Sequence[Ranking]) -> None:
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=UNBOUNDED)

    def say(*lines: str) -> None:
        console.print("\n".join(lines), soft_wrap=True, highlight=False, markup=False)

    for ranking in rankings:
        say(f"{ranking.task}: {counted(ranking.num_rows, 'training row')}")
        console.print(_table(ranking))
        say("")
    say(
        "larger is better, except of the mean rank among trained candidates: 1 is the best",
        "",
        *(ranking.verdict() for ranking in rankings),
    )


def _table(ranking: Ranking) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("source", overflow="fold")
    for title in (*TITLES.values(), "mean rank"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in ranking.rows:
        cells = [format_score(row.scores[name]) for name in TITLES]
        rank = MISSING if row.mean_rank is None else f"{row.mean_rank:.1f}"
        table.add_row(Text(row.name), *cells, rank, style="" if row.trained else "dim")
    return table


def _write(rankings: Sequence[Ranking], path: Path) -> None:
    if path.suffix == ".json":
        write_json(path, {ranking.task: ranking.to_json() for ranking in rankings})
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["task", "candidate", "kind", "features", *TITLES, MEAN_RANK])
    writer.writerows(_cells(ranking, row) for ranking in rankings for row in ranking.rows)
    write_text(path, text.getvalue())


def _cells(ranking: Ranking, row: Row) -> list[str | int | float | None]:
    scores = [row.scores[name] for name in TITLES]
    return [ranking.task, row.name, row.kind, row.width, *scores, row.mean_rank]


def _draw(rankings: Sequence[Ranking], path: Path) -> None:
    from jlrun.reporting.recorders.figure_files import FigureFileRecorder, format_of
    from jlrun.runs.ranking.figure import ranking_figure

    kind = format_of(path)
    FigureFileRecorder(path.parent, kind).figure(path.stem, ranking_figure(rankings), step=0)


def compose_target(overrides: Sequence[str], config_dir: str | None = None) -> Composed:
    """Return the checked config that describes the data set to transfer to.

    ``dataset=NAME`` alone is enough: the rest of the config may be left out.

    Raises:
        UserError: with all that is wrong.
    """
    from jlrun.config import checked

    keys = {text.partition("=")[0].lstrip("+") for text in overrides}
    names = {key.partition(".")[0] for key in keys}
    if names & {"dataset", "datasets"} and not names & {"mode", "experiment"}:
        overrides = ["mode=multitask", *overrides]
    if "fusion" not in names and _num_modalities(overrides, config_dir) > 1:
        overrides = [*overrides, "fusion=concat"]
    return checked(overrides, config_dir)


def _num_modalities(overrides: Sequence[str], config_dir: str | None) -> int:
    from jlrun.config.compose import compose

    try:
        config = compose(overrides, config_dir).config
    except UserError:
        return 0  # the check of the config reports what is wrong
    node = config.get("dataset") or {}
    return len(config.get("modalities") or node.get("modalities") or ())
