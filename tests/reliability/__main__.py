"""``python -m tests.reliability [--long] [--write FILE]``: faults and what comes of them.

``JLRUN_FAULTS=long`` is as ``--long``.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ.setdefault("OMP_NUM_THREADS", "1")

from tests.reliability import children, faults, runs
from tests.reliability.changed_data import changed_data
from tests.reliability.faults import Outcome, Workshop

# One of each kind, done before others are forked.
COMMANDS = (
    runs.train("warm"),
    ["evaluate", "warm"],
    ["diagnose", "warm", "--batches", "1"],
    ["rank", "dataset=digits", "dataset.limit=48", "tasks=[digit]", "--runs", "warm"],
    ["soup", "warm", "warm", "--output", "none"],
)
BEGIN, END = "<!-- outcomes: begin -->", "<!-- outcomes: end -->"


def outcomes(shop: Workshop, long: bool) -> Iterator[Outcome]:
    """Yield what came of each fault."""
    yield from faults.kills(shop, 80 if long else 4)
    yield from faults.kills_of_resumes(shop, 30 if long else 1)
    yield from faults.full_disks(shop, 40 if long else 4)
    yield from faults.two_processes(shop)
    yield from faults.bad_places(shop)
    yield from faults.damages(shop, None if long else 30)
    yield from changed_data(shop)


def main() -> int:
    parser = argparse.ArgumentParser()
    long = os.environ.get("JLRUN_FAULTS") == "long"
    parser.add_argument("--long", action="store_true", default=long)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--damages", type=int, help="only so many damages, drawn")
    parser.add_argument("--write", type=Path, help="page whose table is replaced")
    options = parser.parse_args()
    found = []
    with TemporaryDirectory() as folder:
        children.warm_up(Path(folder), COMMANDS)
        runs.write_inputs(Path(folder) / "x.npy")
        shop = Workshop(Path(folder), options.seed)
        some = options.damages
        for outcome in faults.damages(shop, some) if some else outcomes(shop, options.long):
            found.append(outcome)
            if not outcome.allowed:
                print(f"{outcome.kind}; {outcome.fault}: {outcome.came}\n{outcome.detail}")
                sys.stdout.flush()
    wrong = sum(not outcome.allowed for outcome in found)
    print(f"{len(found)} faults, {wrong} with an outcome that is not allowed")
    if options.write is not None:
        text = options.write.read_text()
        before, after = text.split(BEGIN)[0], text.split(END)[1]
        options.write.write_text(f"{before}{BEGIN}\n{table(found)}{END}{after}")
    return int(wrong > 0)


def table(found: Sequence[Outcome]) -> str:
    """Return the outcomes as a Markdown table, a row for each kind."""
    names = ("the same", "one line", "unharmed")
    lines = [
        "| fault | times | equals the uninterrupted run | refused in one line | unharmed | other |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    kinds: dict[str, Counter[str]] = {}
    for outcome in found:
        came = outcome.came if outcome.allowed else "other"
        kinds.setdefault(outcome.kind, Counter())[came] += 1
    for kind, counts in kinds.items():
        cells = [counts.total(), *(counts[name] for name in (*names, "other"))]
        lines.append(f"| {kind} | {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
