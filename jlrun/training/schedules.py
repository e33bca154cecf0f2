"""Learning-rate schedules: pure functions of the step, so that a resumed run needs no state.

Each returns the factor by which every group's learning rate is multiplied at optimizer step
``step`` (from 0) of ``num_steps``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from jlrun.ranges import Fraction, PositiveFloat, Probability


class Schedule(Protocol):
    """A learning-rate schedule."""

    def __call__(self, step: int, num_steps: int) -> float:
        """Return the factor at ``step`` in ``0..num_steps - 1``."""
        ...


@dataclass(frozen=True)
class Constant:
    """1, after a linear warm-up over a share of the steps."""

    warmup: Fraction = 0.0

    def __call__(self, step: int, num_steps: int) -> float:
        return _warmup(step, self.warmup * num_steps)


@dataclass(frozen=True)
class Cosine:
    """Linear warm-up, then half a cosine from 1 to ``final``.

    Loshchilov & Hutter, "SGDR", ICLR 2017, eq. (5), with a single period.
    """

    warmup: Fraction = 0.05
    final: Probability = 0.0

    def __call__(self, step: int, num_steps: int) -> float:
        start = self.warmup * num_steps
        if step < start:
            return _warmup(step, start)
        progress = (step - start) / (num_steps - start)
        return self.final + (1 - self.final) * 0.5 * (1 + math.cos(math.pi * progress))


@dataclass(frozen=True)
class Step:
    """Multiply by ``factor`` at each milestone, given as shares of the steps."""

    milestones: Sequence[Fraction] = (0.5, 0.75)
    factor: PositiveFloat = 0.1
    warmup: Fraction = 0.0

    def __call__(self, step: int, num_steps: int) -> float:
        passed = sum(step >= milestone * num_steps for milestone in self.milestones)
        return self.factor**passed * _warmup(step, self.warmup * num_steps)


@dataclass(frozen=True)
class OneCycle:
    """Half a cosine up from ``initial`` to 1 at ``peak``, then half a cosine down to ``final``.

    Smith & Topin, "Super-convergence", 2018, with cosine instead of linear ramps.
    """

    peak: Fraction = 0.3
    initial: Probability = 0.04
    final: Probability = 1e-4

    def __call__(self, step: int, num_steps: int) -> float:
        top = self.peak * num_steps
        if step < top:
            return _ease(self.initial, 1.0, step / top)
        return _ease(1.0, self.final, (step - top) / (num_steps - top))


def _warmup(step: int, warmup_steps: float) -> float:
    return min(1.0, (step + 1) / warmup_steps) if warmup_steps >= 1 else 1.0


def _ease(start: float, end: float, progress: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * progress))
