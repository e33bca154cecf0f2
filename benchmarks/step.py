"""A training step, its batch included, against the same step of a plain PyTorch loop.

jlrun's own loop trains a phase without end, recording every ten steps as by default, to nowhere;
between blocks of its steps the plain loop does as many, in a process of its own. Both have the same
model, rows, losses and optimizer, and deterministic algorithms. The plain loop uses PyTorch's
default AdamW, reads the loss after each step, and neither checks nor records anything. The rounds
are those of five pairs of processes.

The last two cases are drawn shapes of 64 and 128 pixels, larger than the digits of the others.
There `engine.reuse_memory` counts, by which freed memory stays with jlrun's process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from benchmarks.alternation import PROCESSES, Comparison, Elsewhere, Sample, in_turns
from benchmarks.cases import CASES, PlainLoop, as_pytorch_has_it
from benchmarks.loops import JlrunLoop
from jlrun.engine import session

REFERENCE = "a plain loop"
WARM_UP = 2  # rounds


def measure(rounds: int, threads: int, names: Sequence[str] = ()) -> Iterator[Comparison]:
    """Yield the comparison of each case, or of those with ``names``."""
    for name in names or CASES:
        found = Comparison(name, REFERENCE, "step", facts={"block": CASES[name].block})
        pairs = min(PROCESSES, rounds)
        for _ in range(pairs):
            for pair in _rounds(name, threads, round(rounds / pairs)):
                found.add(*pair)
        yield found


def _rounds(name: str, threads: int, rounds: int) -> list[tuple[Sample, Sample]]:
    block, most = CASES[name].block, WARM_UP + rounds
    with (
        Elsewhere(our_steps, name, threads, most * CASES[name].block) as ours,
        Elsewhere(their_steps, name, threads) as theirs,
    ):
        return in_turns(ours, theirs, block, most - 1)[WARM_UP - 1 :]


def our_steps(name: str, threads: int, most: int) -> Callable[[int], None]:
    """Return jlrun's loop of a case, in a process that is set up for it as by a run.

    Args:
        name: of the case.
        threads: that compute.
        most: steps in all.
    """
    session(threads=threads, deterministic=True).__enter__()  # until the process ends
    return JlrunLoop.of(CASES[name].assemble(), most).steps


def their_steps(name: str, threads: int) -> Callable[[int], None]:
    """Return the plain loop of a case, in a process that is as PyTorch has it."""
    as_pytorch_has_it(threads)
    return PlainLoop(CASES[name].assemble()).steps
