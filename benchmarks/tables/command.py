"""Make tables: run what is missing of them, and write their pages.

    python -m benchmarks tables NAME… [--seeds 0 1 2] [--data FOLDER] [--runs FOLDER] [--print]

Runs that are complete in the folder of runs are not run again, and interrupted ones are resumed.
``--print`` runs nothing and writes the page of what there is. A cell is left out, and the page says
so, where the configuration or the data is no longer that of its run.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

from benchmarks import report
from benchmarks.tables import declarations
from benchmarks.tables.declared import Overview, Table, data_missing
from benchmarks.tables.page import page
from benchmarks.tables.running import Runner
from benchmarks.tables.sheet import made_sheet, read_sheet, run_table, write_sheet
from jlrun.files.atomic import write_text
from jlrun.runs.sweeps.significance import LEAST_SEEDS

RESULTS = Path(__file__).parents[1] / "results"


def declared() -> dict[str, Table]:
    """Return name -> table of all declarations."""
    return {table.name: table for module in _modules() for table in getattr(module, "TABLES", ())}


def overviews() -> list[Overview]:
    """Return the figures of several tables."""
    return [each for module in _modules() for each in getattr(module, "OVERVIEWS", ())]


def _modules() -> list[ModuleType]:
    return [
        import_module(f"{declarations.__name__}.{module.name}")
        for module in iter_modules(declarations.__path__)
    ]


def main(arguments: Sequence[str]) -> None:
    """Make the tables that the arguments name."""
    tables = declared()
    options = _parser(list(tables)).parse_args(arguments)
    runner = Runner(options.runs, options.data)
    for name in options.names:
        table = tables[name]
        missing = data_missing(table, options.data)
        if missing:
            sys.exit(f"--data={options.data}: {', '.join(missing)} not found there")
        seeds = options.seeds or table.seeds
        if not options.print:
            run_table(table, seeds, runner)
        write(table, seeds, runner, options.out, check_data=not options.trust_data)


def write(table: Table, seeds: Sequence[int], runner: Runner, out: Path, check_data: bool) -> None:
    """Write the sheet, the page and the figure of a table."""
    file = out / f"{table.name}.json"
    sheet = made_sheet(table, seeds, runner, read_sheet(file), check_data)
    own_seeds = () if tuple(seeds) == table.seeds else ("--seeds", *map(str, seeds))
    command = shlex.join(["python", "-m", "benchmarks", "tables", table.name, *own_seeds])
    machine = report.machine(1)
    del machine["load"]
    write_sheet(file, sheet, command, machine)
    text = page(table, sheet, command, machine)
    write_text(out / f"{table.name}.md", text)
    if table.figure is not None and len({entry.seed for entry in sheet.entries}) >= LEAST_SEEDS:
        table.figure(sheet.scores()).savefig(out / f"{table.name}.png")
    for overview in overviews():
        if table.name in overview.tables:
            sheets = {name: read_sheet(out / f"{name}.json") for name in overview.tables}
            scores = {name: s.scores() for name, s in sheets.items() if s is not None}
            overview.figure(scores).savefig(out / f"{overview.name}.png")
    print(text)


def _parser(names: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m benchmarks tables",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--seeds", type=int, nargs="+", help="default: those of the table")
    parser.add_argument(
        "--data", type=Path, default=Path("data"), help="folder of data; default: %(default)s"
    )
    parser.add_argument(
        "--runs", type=Path, default=Path("outputs/tables"), help="default: %(default)s"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="default: %(default)s")
    parser.add_argument("--print", action="store_true", help="run nothing")
    parser.add_argument(
        "--trust-data", action="store_true", help="do not load the data to check it"
    )
    return parser
