"""What a command takes before there is anything to train, and a whole run of the first example.

Commands that import no PyTorch are compared with ``import hydra``, which composing a config cannot
do without; the run with ``import torch``. With ``--against PYTHON``, the interpreter of another
installation, each is compared with the same command there, for two states of jlrun.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.alternation import Comparison, Sample

HYDRA, TORCH = "import hydra", "import torch"
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "jlrun": (),
    "jlrun ls": ("ls",),
    "jlrun --cfg job": ("--cfg", "job"),
    "a misspelt key": ("moed=transfer",),
    "a misspelt option": ("mode=trasnfer",),
    "a misspelt key and wrong values": ("epcohs=3", "seed=-1", "batch_size=x"),
}
RUNS: Mapping[str, tuple[str, ...]] = {"jlrun mode=transfer": ("mode=transfer",)}


def measure(
    rounds: int, threads: int, names: Sequence[str] = (), against: str | None = None
) -> Iterator[Comparison]:
    """Yield the comparison of each command, or of those with ``names``."""
    for name, arguments in {**COMMANDS, **RUNS}.items():
        if names and name not in names:
            continue
        reference = TORCH if name in RUNS else HYDRA
        theirs = ["-c", reference] if against is None else ["-m", "jlrun", *arguments]
        told = reference if against is None else "other installation"
        comparison = Comparison(name, told, "command")
        for number in range(rounds + 1):
            may_fail = name not in RUNS
            ours = _timed(sys.executable, ["-m", "jlrun", *arguments], threads, may_fail)
            other = _timed(against or sys.executable, theirs, threads, may_fail)
            if number:  # the first round warms the disk cache
                comparison.add(ours, other)
        yield comparison


def breakdown(threads: int, arguments: Sequence[str] = RUNS["jlrun mode=transfer"]) -> str:
    """Return a Markdown table of the seconds of imports in a run, by package.

    A module's time is its own, without what it imports; what the run takes besides is its work.
    """
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "jlrun", *arguments],
            cwd=folder, env=_environment(threads), capture_output=True, check=True, text=True,
        )  # fmt: skip
    seconds: dict[str, float] = defaultdict(float)
    for own, name in re.findall(r"^import time: +(\d+) \| +\d+ \| +([\w.]+)", done.stderr, re.M):
        parts = name.split(".")
        known = ".".join(parts[:2]) if parts[0] in ("torch", "jlrun") else parts[0]
        seconds[known] += int(own) / 1e6
    largest = sorted(seconds.items(), key=lambda pair: -pair[1])[:12]
    lines = ["| imports of | seconds |", "|---|---|", f"| all | {sum(seconds.values()):.2f} |"]
    return "\n".join([*lines, *(f"| {name} | {value:.2f} |" for name, value in largest)])


def _timed(python: str, arguments: Sequence[str], threads: int, may_fail: bool) -> Sample:
    with tempfile.TemporaryDirectory() as folder:
        before, cpu = Sample.now(), _cpu_of_children()
        subprocess.run(
            [python, *arguments],
            cwd=folder, env=_environment(threads), capture_output=True, check=not may_fail,
        )  # fmt: skip
        return Sample((Sample.now() - before).wall, _cpu_of_children() - cpu)


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _environment(threads: int) -> dict[str, str]:
    """Return an environment in which modules are compiled once, as where they are installed."""
    known = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return known | {"OMP_NUM_THREADS": str(threads)}
