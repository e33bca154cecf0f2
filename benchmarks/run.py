"""A whole run with validation and default records, by the step, against a plain PyTorch loop.

A run of 4 epochs is taken from one of 4 and as many more as make some hundred steps: what is left
is epochs, without start and end. The plain loop does those epochs alone, with a pass over the
validation rows after each. Figures, TensorBoard's events, `metrics.csv`, checkpoints and selection
of the best weights are jlrun's alone. Baselines are off.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from benchmarks.alternation import Comparison, Sample
from benchmarks.cases import CASES, Case, PlainLoop
from jlrun.config import checked
from jlrun.engine import session
from jlrun.runs.execution import execute

REFERENCE = "a plain loop with validation"
SHORT = 4  # epochs
STEPS = {"MLP, one task": 1500, "MLP, two tasks": 1500, "CNN": 500}


def measure(rounds: int, threads: int, names: Sequence[str] = ()) -> Iterator[Comparison]:
    """Yield the comparison of each case, or of those with ``names``."""
    with session(threads=threads, deterministic=True):
        for name, steps in STEPS.items():
            if not names or name in names:
                yield _compare(CASES[name], steps, rounds, threads)


def _compare(case: Case, steps: int, rounds: int, threads: int) -> Comparison:
    plain = PlainLoop(case.assemble())
    more = max(1, round(steps / plain.steps_per_epoch))
    steps = more * plain.steps_per_epoch
    found = Comparison(case.name, REFERENCE, "step", facts={"epochs": more, "steps": steps})
    for number in range(rounds + 1):
        with tempfile.TemporaryDirectory() as folder:
            short = _run(case, SHORT, threads, Path(folder, "short"))
            long = _run(case, SHORT + more, threads, Path(folder, "long"))
        theirs = Sample.of(lambda: plain.epochs(more))
        if number:  # the first round warms up
            found.add((long - short) / steps, theirs / steps)
    return found


def _run(case: Case, epochs: int, threads: int, folder: Path) -> Sample:
    composed = checked(
        [
            *case.overrides,
            *(f"epochs={epochs}", f"engine.threads={threads}", f"hydra.run.dir={folder}"),
        ]
    )
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        return Sample.of(lambda: execute(composed))
