"""``jlrun diagnose RUN``: which tasks of a run help which, and whose gradients conflict."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any

from jlrun.cli.verbs import given_path, names_data, parser
from jlrun.errors import UserError
from jlrun.files.atomic import write_json
from jlrun.files.places import check_file
from jlrun.files.run_directory import BEST, LAST
from jlrun.reporting.recorders.formats import MISSING, format_score
from jlrun.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rich.table import Table

PRINTED_TASKS = 12  # matrices of more are left to --output


def main(args: list[str]) -> int:
    """Print how the tasks of a run get along on training batches; the run is not changed.

    Raises:
        UserError: if there is no such run or checkpoint, or its tasks share nothing that trains.
    """
    parsed = _parsed(args)
    if parsed.output is not None:
        check_file(parsed.output, "--output")
    from jlrun.runs.diagnose import diagnose
    from jlrun.runs.saved_run import load_changed

    settings = load_changed(parsed.run, parsed.overrides)
    other_data = names_data(parsed.overrides)
    found = diagnose(parsed.run, settings, parsed.checkpoint, parsed.batches, parsed.lr, other_data)
    _print(found)
    if parsed.output is not None:
        write_json(parsed.output, found)
    return 0


def _parsed(args: list[str]) -> Namespace:
    parse = parser(
        "diagnose",
        "Measure on training batches which tasks of a run help which: how the loss of each changes "
        "when the shared parameters take one step of gradient descent on another task alone.",
    )
    parse.add_argument("run", type=given_path, help="run directory")
    parse.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="values of its config")
    parse.add_argument("--batches", type=int, default=10, help="training batches (default: 10)")
    parse.add_argument("--checkpoint", choices=[BEST, LAST], default=BEST)
    parse.add_argument("--lr", type=float, help="of the step; default: the run's optimizer.lr")
    parse.add_argument("--output", type=given_path, help="also write everything to this JSON file")
    parsed = parse.parse_intermixed_args(args)
    if parsed.batches < 1:
        raise UserError.of("--batches", f"{parsed.batches} is too small: at least 1")
    if parsed.lr is not None and not 0 < parsed.lr < float("inf"):
        raise UserError.of("--lr", f"{parsed.lr:g} is no step: more than 0")
    return parsed


def _print(found: Mapping[str, Any]) -> None:
    from rich.console import Console

    from jlrun.reporting.task_relations import format_affinity, sentence

    console, tasks = Console(), found["tasks"]

    def say(*lines: str) -> None:
        console.print("\n".join(lines), soft_wrap=True, highlight=False, markup=False)

    def matrix(title: str, key: str, shown: Callable[[float | None], str]) -> None:
        rows = [[t, *(shown(found[key].get(t, {}).get(other)) for other in tasks)] for t in tasks]
        say("", title)
        console.print(_table(["", *tasks], rows), crop=False)

    count = counted(found["batches"], "batch")
    say(f"{count} of phase '{found['phase']}', {found['checkpoint']} weights", "")
    sizes = [[t, *map(format_score, (found["loss"][t], found["gradient_norm"][t]))] for t in tasks]
    console.print(_table(["task", "loss", "gradient norm"], sizes))
    if len(tasks) <= PRINTED_TASKS:
        matrix("cosine of the task gradients", "cosine", _cosine)
        step = f"one step on the task of the row alone (gradient descent, lr {found['lr']:g})"
        matrix(f"{step} lowers the loss of the column by", "affinity", format_affinity)
        if found["affinity_in_training"]:
            matrix("the same, mean over the training", "affinity_in_training", format_affinity)
    say("", *(sentence(task, found["affinity"]) for task in tasks))


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Return a table whose first column is left-aligned; what is negative is red.

    Long titles are folded, not cut: names of tasks often differ in their ends alone.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for i, name in enumerate(header):
        cells = max(len(row[i]) for row in rows)
        title = Text(name.replace(".", ".\n") if i else name)
        side = "right" if i else "left"
        table.add_column(title, justify=side, overflow="fold", no_wrap=not i, min_width=cells)
    for row in rows:
        table.add_row(*(Text(cell, style=_style(cell)) for cell in row))
    return table


def _cosine(value: float | None) -> str:
    return MISSING if value is None else f"{value:+.2f}"


def _style(cell: str) -> str:
    return "red" if cell.startswith("-") and cell != MISSING else ""
