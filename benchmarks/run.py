"""A whole run with validation and default records, by the step, against a plain PyTorch loop.

A run of 4 epochs is taken from one of 4 and as many more as make some hundred steps: what is left
is epochs, without start and end. The plain loop does those epochs alone, in a process of its own,
with a pass over the validation rows after each. Figures, TensorBoard's events, `metrics.csv`,
checkpoints and selection of the best weights are jlrun's alone. Baselines are off.

Peak memory is the resident memory of a process that does the shorter run, or trains and validates
as long by the plain loop; both have jlrun and PyTorch in it. Recording is the time in which curves,
`metrics.csv`, TensorBoard's events and the display are made, as a share of the longer run from the
command to the end, figures included. The rounds are those of five processes, memory and recording
those of the first.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from benchmarks import report
from benchmarks.alternation import (
    Comparison,
    Elsewhere,
    Sample,
    forget_what_is_there,
    in_new_processes,
    pooled,
)
from benchmarks.cases import CASES, Case, PlainLoop, as_pytorch_has_it
from benchmarks.memory import peak_of
from jlrun.config import checked
from jlrun.runs.execution import execute
from jlrun.training.timed import TimedParts, timing

REFERENCE = "a plain loop with validation"
SHORT = 4  # epochs
STEPS = {"MLP, one task": 1500, "MLP, two tasks": 1500, "CNN": 500}


def measure(rounds: int, threads: int, names: Sequence[str] = ()) -> Iterator[Comparison]:
    """Yield the comparison of each case, or of those with ``names``."""
    for name in names or STEPS:
        yield pooled(in_new_processes(rounds, compare, name, threads))


def compare(name: str, threads: int, rounds: int) -> Comparison:
    """Return the comparison of a case."""
    memory = _peaks(CASES[name])  # before this process has done a run
    with Elsewhere(plain_epochs, name, threads) as plain:
        return _compare(CASES[name], plain, memory, rounds, threads)


def plain_epochs(name: str, threads: int) -> Callable[[int], None]:
    """Return the plain loop of a case, in a process that is as PyTorch has it."""
    as_pytorch_has_it(threads)
    return PlainLoop(CASES[name].assemble()).epochs


def _compare(
    case: Case, plain: Elsewhere, memory: Mapping[str, int], rounds: int, threads: int
) -> Comparison:
    per_epoch = PlainLoop(case.assemble()).steps_per_epoch
    more = max(1, round(STEPS[case.name] / per_epoch))
    steps = more * per_epoch
    facts: dict[str, float] = {"epochs": more, "steps": steps, **memory}
    found = Comparison(case.name, REFERENCE, "step", facts=facts)
    for number in range(rounds + 1):
        with tempfile.TemporaryDirectory() as folder:
            short = run_of(case, SHORT, threads, Path(folder, "short"))
            long = run_of(case, SHORT + more, threads, Path(folder, "long"))
        theirs = plain(more)
        if number:
            found.add((long - short) / steps, theirs / steps)
        else:  # the round that warms up
            forget_what_is_there()
    facts["recording_share"] = _recording_share(case, SHORT + more, threads)
    return found


def _peaks(case: Case) -> dict[str, int]:
    """Return the bytes at the peak of jlrun's run and of the plain loop, in all and added."""

    def ours() -> None:
        with tempfile.TemporaryDirectory() as folder:
            run_of(case, SHORT, 1, Path(folder, "run"))

    mine, theirs = peak_of(ours), peak_of(lambda: PlainLoop(case.assemble()).epochs(SHORT))
    return {
        "peak_bytes": mine.total,
        "added_bytes": mine.added,
        "reference_peak_bytes": theirs.total,
        "reference_added_bytes": theirs.added,
    }


def _recording_share(case: Case, epochs: int, threads: int) -> float:
    times = TimedParts(lambda: None)
    with tempfile.TemporaryDirectory() as folder, timing(times):
        whole = run_of(case, epochs, threads, Path(folder, "run"))
    return times.seconds["recording"] / whole.wall


def tables(found: Sequence[Comparison]) -> str:
    """Return what was found as Markdown tables: times, then memory and recording."""
    lines = [
        report.table(found),
        "",
        "| case | peak memory of jlrun | of the reference | ratio | recording |",
        "|---|---|---|---|---|",
    ]
    for each in found:
        mine, theirs = (each.facts[f"{who}peak_bytes"] / 2**20 for who in ("", "reference_"))
        share = 100 * each.facts["recording_share"]
        cells = (each.case, f"{mine:.0f} MB", f"{theirs:.0f} MB", f"{mine / theirs:.2f}")
        lines.append("| " + " | ".join([*cells, f"{share:.1f} % of the run"]) + " |")
    return "\n".join(lines)


def run_of(case: Case, epochs: int, threads: int, folder: Path) -> Sample:
    """Return what a run of jlrun takes, its lines left unread."""
    composed = checked(
        [
            *case.overrides,
            *(f"epochs={epochs}", f"engine.threads={threads}", f"hydra.run.dir={folder}"),
        ]
    )
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        return Sample.of(lambda: execute(composed))
