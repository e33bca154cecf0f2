"""Run benchmarks by name.

    python -m benchmarks step run startup sweep vectorized [--rounds N] [--cases CNN]

Each times jlrun and a reference in turns, prints the medians of their ratios with quartiles, and
writes them to `benchmarks/results/NAME.md`, and with every sample to `NAME.json`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path

from benchmarks import report
from benchmarks.alternation import Comparison

NAMES = {"step": 15, "run": 5, "startup": 7, "sweep": 3, "vectorized": 7}  # name -> rounds
RESULTS = Path(__file__).parent / "results"


def main(arguments: Sequence[str]) -> None:
    """Run what the arguments name."""
    options = _parser().parse_args(arguments)
    for name in options.names:
        module = import_module(f"benchmarks.{name}")
        known = {"against": options.against} if name == "startup" else {}
        measure: Callable[..., Iterator[Comparison]] = module.measure
        found: list[Comparison] = []
        for each in measure(options.rounds or NAMES[name], options.threads, options.cases, **known):
            print(f"{name}: {each.case}: {each.ratio()} of {each.reference}", flush=True)
            found.append(each)
        told = str(module.__doc__).strip()
        if name == "startup" and not options.cases:
            told += f"\n\nImports of `jlrun mode=transfer`:\n\n{module.breakdown(options.threads)}"
        print(f"\n{report.table(found)}\n", flush=True)
        report.write(options.out, name, told, found, arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="+", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--rounds", type=int, help="default: as many as the benchmark needs")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch; default: %(default)s")
    parser.add_argument("--cases", nargs="+", default=(), help="default: all of the benchmark")
    parser.add_argument("--against", help="startup: interpreter of another installation")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder; default: %(default)s")
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
