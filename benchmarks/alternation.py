"""Alternation: two ways to do the same are timed in turns, so that both meet the same machine."""

from __future__ import annotations

import gc
import multiprocessing
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any, TypeVar

T = TypeVar("T")

PROCESSES = 5  # in which a comparison is made where it depends on them


@dataclass(frozen=True)
class Sample:
    """Seconds of one unit of work.

    Attributes:
        wall: by the clock; what others do on the machine counts.
        cpu: of this process and its workers (or of the command), all threads; what others do does
            not count.
    """

    wall: float
    cpu: float

    def __sub__(self, other: Sample) -> Sample:
        return Sample(self.wall - other.wall, self.cpu - other.cpu)

    def __truediv__(self, count: float) -> Sample:
        return Sample(self.wall / count, self.cpu / count)

    @classmethod
    def now(cls) -> Sample:
        """Return the clocks as they are."""
        return cls(time.perf_counter(), time.process_time() + _cpu_of_workers())

    @classmethod
    def of(cls, work: Callable[[], object]) -> Sample:
        """Return what ``work`` takes."""
        before = cls.now()
        work()
        return cls.now() - before


def _cpu_of_workers() -> float:
    """Return the seconds that child processes have computed, those that still run included."""
    ended = os.times()
    running = sum(_cpu_of(child.pid) for child in multiprocessing.active_children())
    return ended.children_user + ended.children_system + running


def _cpu_of(pid: int | None) -> float:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:  # it has just ended, or this is no Linux
        return 0.0
    user, system = status.rpartition(")")[2].split()[11:13]  # proc(5): utime and stime
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Spread:
    """Median and quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of at least one value."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, _, high = quantiles(values, n=4, method="inclusive")
        return cls(median(values), low, high)

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


@dataclass
class Comparison:
    """What jlrun and a reference took, round by round.

    Attributes:
        case: what was done.
        reference: what it is compared with.
        unit: what one sample is of: ``step``, ``image``, ``command``.
        ours, theirs: samples of the rounds, in order.
        facts: more about the case, for the JSON file.
    """

    case: str
    reference: str
    unit: str
    ours: list[Sample] = field(default_factory=list)
    theirs: list[Sample] = field(default_factory=list)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.case}: {self.ratio()} of {self.reference}, CPU {self.ratio('cpu')}"

    def add(self, ours: Sample, theirs: Sample) -> None:
        """Add a round."""
        self.ours.append(ours)
        self.theirs.append(theirs)

    def ratio(self, clock: str = "wall") -> Spread:
        """Return ours over theirs within a round: a machine that slows down slows both."""
        pairs = zip(self.ours, self.theirs, strict=True)
        return Spread.of([getattr(a, clock) / getattr(b, clock) for a, b in pairs])

    def seconds(self, who: str, clock: str = "wall") -> Spread:
        """Return the seconds of a unit, of ``who`` (``ours`` or ``theirs``)."""
        return Spread.of([getattr(sample, clock) for sample in getattr(self, who)])


def in_new_processes(rounds: int, compare: Callable[..., T], *arguments: object) -> list[T]:
    """Return what several processes found, one after the other.

    Where memory lies is different in each, by which one of two equal loops may be a tenth faster.

    Args:
        rounds: of all processes, about.
        compare: of a module, called in each process with ``arguments`` and its rounds.
        arguments: which can be pickled.
    """
    count = min(PROCESSES, rounds)
    each = round(rounds / count)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, max_tasks_per_child=1) as pool:
        return [pool.submit(compare, *arguments, each).result() for _ in range(count)]


class Elsewhere:
    """A loop in a process of its own, with the allocator and the caches for itself.

    Args:
        make: of a module, makes the loop there: a function of a number of steps.
        arguments: of ``make``, which can be pickled.
    """

    def __init__(self, make: Callable[..., Callable[[int], object]], *arguments: object) -> None:
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(1, context, _make, (make, *arguments))
        self._pool.submit(int).result()  # it is made now

    def __call__(self, steps: int) -> Sample:
        """Do some steps there, and return what they took."""
        return self._pool.submit(_turn, steps).result()

    def __enter__(self) -> Elsewhere:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()


_made: list[Callable[[int], object]] = []  # in the process of `Elsewhere`


def _make(make: Callable[..., Callable[[int], object]], *arguments: object) -> None:
    _made.append(make(*arguments))
    forget_what_is_there()


def _turn(steps: int) -> Sample:
    return Sample.of(lambda: _made[0](steps))


def pooled(found: Sequence[Comparison]) -> Comparison:
    """Return the rounds of all comparisons of a case as those of the first."""
    first, *others = found
    for other in others:
        for ours, theirs in zip(other.ours, other.theirs, strict=True):
            first.add(ours, theirs)
    return first


def forget_what_is_there() -> None:
    """Let collections of garbage not walk over what was imported and made, as the command does."""
    gc.collect()
    gc.freeze()


def in_turns(
    ours: Callable[[int], object],
    theirs: Callable[[int], object],
    block: int,
    rounds: int,
    *,
    settle: int = 0,
) -> list[tuple[Sample, Sample]]:
    """Return the samples of a step, of jlrun and of a reference, for each of some rounds.

    Args:
        ours, theirs: do a number of steps, here or `Elsewhere`.
        block: steps that are timed together.
        rounds: in each of which both have a turn; one more warms up.
        settle: steps of each turn before the clock starts: workers that load data have loaded some
            in the turn of the other.
    """

    def turn(steps: Callable[[int], object]) -> Sample:
        if settle:
            steps(settle)
        found = steps(block) if isinstance(steps, Elsewhere) else Sample.of(lambda: steps(block))
        return found / block

    return [(turn(ours), turn(theirs)) for _ in range(rounds + 1)][1:]
