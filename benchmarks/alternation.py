"""Alternation: two ways to do the same are timed in turns, so that both meet the same machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any


@dataclass(frozen=True)
class Sample:
    """Seconds of one unit of work.

    Attributes:
        wall: by the clock; what others do on the machine counts.
        cpu: of this process (or of the command), all threads; what others do does not count.
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
        return cls(time.perf_counter(), time.process_time())

    @classmethod
    def of(cls, work: Callable[[], object]) -> Sample:
        """Return what ``work`` takes."""
        before = cls.now()
        work()
        return cls.now() - before


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
        unit: what one sample is of: ``step``, ``command``.
        ours, theirs: samples of the rounds, in order.
        facts: more about the case, for the JSON file.
    """

    case: str
    reference: str
    unit: str
    ours: list[Sample] = field(default_factory=list)
    theirs: list[Sample] = field(default_factory=list)
    facts: Mapping[str, Any] = field(default_factory=dict)

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
