"""Run benchmarks by name.

    python -m benchmarks step run data weightings startup sweep vectorized ranks peers [--rounds N]
    python -m benchmarks growth [--cases rows]
    python -m benchmarks tables NAME [--seeds 0 1 2]

Each times jlrun and a reference in turns, prints the medians of their ratios with quartiles, and
writes them to `benchmarks/results/NAME.md`, and with every sample to `NAME.json`; `growth` times
jlrun alone, at several sizes in turns. `tables` compares methods instead (`benchmarks.tables`).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks import report

# Name -> rounds.
NAMES = {
    "step": 30,
    "run": 5,
    "data": 9,
    "growth": 7,
    "weightings": 15,
    "startup": 7,
    "sweep": 3,
    "vectorized": 7,
    "ranks": 15,
    "peers": 5,
}
RESULTS = Path(__file__).parent / "results"


def main(arguments: Sequence[str]) -> None:
    """Run what the arguments name."""
    # As `jlrun.cli.main.entrypoint` has it: on a busy machine threads would wait for each other.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    options = _parser().parse_args(arguments)
    for name in options.names:
        module = import_module(f"benchmarks.{name}")
        known = {"against": options.against} if name == "startup" else {}
        measure: Callable[..., Iterator[Any]] = module.measure
        rounds, threads = options.rounds or NAMES[name], _threads(options.threads, module)
        found: list[Any] = []
        for each in measure(rounds, threads, options.cases, **known):
            print(f"{name}: {each}", flush=True)
            found.append(each)
        told = str(module.__doc__).strip()
        if name == "startup" and not options.cases:
            told += f"\n\nImports of `jlrun mode=transfer`:\n\n{module.breakdown(threads)}"
        tables: str = getattr(module, "tables", report.table)(found)
        print(f"\n{tables}\n", flush=True)
        report.write(options.out, name, told, found, arguments, tables, threads)


def _threads(asked: int | None, module: ModuleType) -> int:
    """Return the threads of PyTorch: those asked for, or the benchmark's own, or one."""
    return asked or getattr(module, "THREADS", 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="+", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--rounds", type=int, help="default: as many as the benchmark needs")
    parser.add_argument(
        "--threads", type=int, help="of PyTorch; default: 1, and for data one for each processor"
    )
    parser.add_argument("--cases", nargs="+", default=(), help="default: all of the benchmark")
    parser.add_argument("--against", help="startup: interpreter of another installation")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder; default: %(default)s")
    return parser


if __name__ == "__main__":
    if sys.argv[1:2] == ["tables"]:
        from benchmarks.tables.command import main as make_tables

        make_tables(sys.argv[2:])
    else:
        main(sys.argv[1:])
