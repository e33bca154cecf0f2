"""``python -m tests.fuzz``: configurations and malformed files must end in one clear line.

Exit code 0 if none ended in a traceback, for too long or without a message.
"""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from tempfile import TemporaryDirectory

from tests.fuzz import sandbox
from tests.fuzz.broken_files import RUNS, broken_file, run_arguments
from tests.fuzz.cases import Case
from tests.fuzz.configurations import configuration
from tests.fuzz.seeds import write_table_with_files


def main() -> int:
    """Run the cases that are asked for, print those that fail, and a tally."""
    options = _options()
    faults, tally = 0, Counter[str]()
    with TemporaryDirectory(prefix="jlrun-fuzz-") as folder:
        warm_up()
        runs = Path(folder) / "runs"
        make_runs(runs)
        for case in _cases(options, runs):
            place = Path(folder) / case.name.replace(" ", "-")
            outcome = sandbox.run(case, place)
            fault = outcome.fault()
            if outcome.out_of_time and case.runs:
                fault, tally["long runs"] = "", tally["long runs"] + 1
            tally["faults" if fault else f"exit code {outcome.code}"] += 1
            if fault or options.only:
                faults += bool(fault)
                print(_report(case, outcome, fault), flush=True)
            if options.keep and fault:
                shutil.move(place, options.keep / place.name)
            shutil.rmtree(place, ignore_errors=True)
    print(", ".join(f"{count} {what}" for what, count in sorted(tally.items())))
    return 1 if faults else 0


def warm_up() -> None:
    """Import what cases need, so that each begins with it; no tensor is made, since a process
    that has started PyTorch's threads can't be forked."""
    import torchvision  # noqa: F401

    import jlrun

    for module in walk_packages(jlrun.__path__, "jlrun."):
        if not module.name.endswith("__main__"):
            import_module(module.name)


def make_runs(folder: Path) -> None:
    """Make the runs whose files are damaged."""
    for name in RUNS:
        case = Case(name, run_arguments(name), write_table_with_files)
        outcome = sandbox.run(case, folder / f".{name}")
        assert outcome.code == 0, outcome.output
        shutil.move(folder / f".{name}" / name, folder / name)


def _cases(options: argparse.Namespace, runs: Path) -> Iterator[Case]:
    if options.only:
        kind, number = options.only
        yield (
            configuration(options.seed, int(number))
            if kind.startswith("conf")
            else broken_file(options.seed, int(number), runs)
        )
        return
    for number in range(options.start, options.start + options.configurations):
        yield configuration(options.seed, number)
    for number in range(options.start, options.start + options.files):
        yield broken_file(options.seed, number, runs)


def _report(case: Case, outcome: sandbox.Outcome, fault: str) -> str:
    words = f"{case.name}: {fault or 'fine'} (exit code {outcome.code}, {outcome.seconds:.1f} s)"
    lines = [f"== {words}", f"jlrun {shorter(shlex.join(case.arguments))}"]
    about = [f"with {case.about}"] if case.about else []
    return "\n".join([*lines, *about, shorter(outcome.output[-3000:].rstrip())])


def shorter(text: str) -> str:
    """Return a text with the middle of long words left out."""
    return re.sub(r"(\S{150})\S{100,}(\S{20})", r"\1…\2", text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--configurations", type=int, default=2000)
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--start", type=int, default=0, help="number of the first case")
    parser.add_argument("--only", nargs=2, metavar=("KIND", "N"), help="configuration 17, file 3")
    parser.add_argument("--keep", type=Path, help="a folder for the files of cases that fail")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
