"""Mean and standard deviation of numbers, in float64, however far they are from 0."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

# Of the spread of numbers, the share that their distance in float64 may be.
_COARSE = 0.01


@dataclass(frozen=True)
class Moments:
    """What is known of some numbers.

    Attributes:
        mean: 0 without any number.
        std: 1 where they are all the same, so that it can be divided by.
        lost: whether float64 does not tell numbers of this size well enough apart; whole numbers
            are exact up to 2⁵³.
    """

    mean: float
    std: float
    lost: bool = False


def moments(parts: Iterable[np.ndarray]) -> Moments:
    """Return the moments of all parts, arrays of any shape; NaN does not count.

    Numbers are taken from the first one, and parts are merged as by Chan et al., "Algorithms for
    Computing the Sample Variance", 1983: equal numbers have a spread of exactly 0.
    """
    count, origin, mean, squares, largest = 0, 0.0, 0.0, 0.0, 0.0
    for part in parts:
        values = part[~np.isnan(part)].astype(np.float64)
        if not len(values):
            continue
        if count == 0:
            origin = float(values[0])
        largest = max(largest, float(np.abs(values).max()))
        values = values - origin
        own = float(values.mean())
        delta, total = own - mean, count + len(values)
        squares += float(((values - own) ** 2).sum()) + delta**2 * count * len(values) / total
        mean += delta * len(values) / total
        count = total
    if count == 0:
        return Moments(0.0, 1.0)
    std = (squares / count) ** 0.5
    step = float(np.spacing(largest))
    if std < 2 * step:  # what is left of equal numbers after rounding, or of different ones
        return Moments(origin + mean, 1.0, lost=largest > 2**53)
    return Moments(origin + mean, std, lost=step > _COARSE * std)
