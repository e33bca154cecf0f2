"""A training step, its batch included, against the same step of a plain PyTorch loop.

jlrun's own loop trains a phase without end, recording every ten steps as by default, to nowhere;
between blocks of its steps the plain loop does as many. Both have the same model, rows, losses and
optimizer, and deterministic algorithms. The plain loop uses PyTorch's default AdamW, reads the loss
after each step, and neither checks nor records anything. The rounds are those of five processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from benchmarks.alternation import (
    Comparison,
    Sample,
    forget_what_is_there,
    in_new_processes,
    pooled,
)
from benchmarks.cases import CASES, Case, PlainLoop
from jlrun.data.sampling import Alone
from jlrun.engine import session
from jlrun.training.learner import build_learner
from jlrun.training.loop import train
from jlrun.training.recorder import Recorder
from jlrun.training.spans import PhaseRun, TrainContext
from jlrun.training.state import PhaseState

REFERENCE = "a plain loop"
WARM_UP = 2  # rounds


def measure(rounds: int, threads: int, names: Sequence[str] = ()) -> Iterator[Comparison]:
    """Yield the comparison of each case, or of those with ``names``."""
    for name in names or CASES:
        yield pooled(in_new_processes(rounds, compare, name, threads))


def compare(name: str, threads: int, rounds: int) -> Comparison:
    """Return the comparison of a case."""
    with session(threads=threads, deterministic=True):
        return _compare(CASES[name], rounds)


def _compare(case: Case, rounds: int) -> Comparison:
    assembly = case.assemble()
    phase, engine = assembly.plan.fits[0].phases[-1], assembly.engine
    steps = case.block * (WARM_UP + rounds)
    phase = replace(phase, sampling=Alone(steps), epochs=1)
    learner = build_learner(assembly.new_model(assembly.plan.fits[0]), phase, engine)
    turns = _Turns(case, PlainLoop(assembly))
    log_every = assembly.settings.recorder.log_every
    context = TrainContext(engine, turns, assembly.settings.seed, log_every, lambda: False)
    run = PhaseRun("main", phase, learner, PhaseState(), 0, lambda force: None)
    forget_what_is_there()
    turns.begin()
    train(run, context)
    return turns.comparison(WARM_UP)


class _Turns(Recorder):
    """Recorder of nothing, which lets the plain loop have its turn after each block of steps."""

    def __init__(self, case: Case, plain: PlainLoop) -> None:
        self._case = case
        self._plain = plain
        self._rounds: list[tuple[Sample, Sample]] = []

    def begin(self) -> None:
        """Start the clock of jlrun's turn."""
        self._began = Sample.now()

    def step(self, step: int) -> None:
        """End jlrun's turn where a block ends."""
        block = self._case.block
        if step % block == 0:
            ours = Sample.now() - self._began
            theirs = Sample.of(lambda: self._plain.steps(block))
            self._rounds.append((ours / block, theirs / block))
            self.begin()

    def comparison(self, warm_up: int) -> Comparison:
        """Return the rounds after the first ``warm_up``."""
        found = Comparison(self._case.name, REFERENCE, "step", facts={"block": self._case.block})
        for ours, theirs in self._rounds[warm_up:]:
            found.add(ours, theirs)
        return found
