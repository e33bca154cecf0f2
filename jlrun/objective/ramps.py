"""Ramps: strengths as functions of a phase's progress."""

# p share of the steps done, in [0, 1)

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from jlrun.ranges import PositiveFloat

Ramp = Callable[[float], float]
RampName = Literal["constant", "linear", "cosine", "sigmoid"]


@dataclass(frozen=True)
class Constant:
    """``value``, always."""

    value: float = 1.0

    def __call__(self, p: float) -> float:
        return self.value


@dataclass(frozen=True)
class Linear:
    """From ``start`` to ``end`` in a straight line."""

    start: float = 0.0
    end: float = 1.0

    def __call__(self, p: float) -> float:
        return self.start + (self.end - self.start) * p


@dataclass(frozen=True)
class Cosine:
    """From ``start`` to ``end`` along half a cosine, with no slope at either end."""

    start: float = 0.0
    end: float = 1.0

    def __call__(self, p: float) -> float:
        return self.start + (self.end - self.start) * (1 - math.cos(math.pi * p)) / 2


@dataclass(frozen=True)
class Sigmoid:
    """2 / (1 + e^(−kp)) − 1: from 0 to nearly 1.

    Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 2016, section 5.2, where
    k = 10.
    """

    steepness: PositiveFloat = 10.0

    def __call__(self, p: float) -> float:
        return 2 / (1 + math.exp(-self.steepness * p)) - 1


def ramp(name: RampName) -> Ramp:
    """Return the ramp of that name from 0 to 1; ``constant`` is 1."""
    made: dict[RampName, Ramp] = {
        "constant": Constant(),
        "linear": Linear(),
        "cosine": Cosine(),
        "sigmoid": Sigmoid(),
    }
    return made[name]


def annealed(progress: float, share: float, factor: float) -> float:
    """Return 1 in the first ``share`` of the phase, and ``factor`` after it."""
    return 1.0 if progress < share else factor
