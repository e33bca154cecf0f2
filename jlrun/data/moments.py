"""Mean and standard deviation of numbers, in float64, exact also far from 0."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

# Largest spacing of float64 at the numbers, as a share of their spread.
_COARSE = 0.01


@dataclass(frozen=True)
class Moments:
    """Moments of some numbers.

    Attributes:
        mean: 0 without any number.
        std: 1 where all numbers are equal, so that it can be divided by.
        lost: whether the spacing of float64 at this size is too coarse for their spread; whole
            numbers are exact up to 2⁵³.
    """

    mean: float
    std: float
    lost: bool = False


def moments(parts: Iterable[np.ndarray]) -> Moments:
    """Return the moments of all parts, arrays of any shape; NaN does not count.

    The first number is subtracted from all, and parts are merged as by Chan et al., "Algorithms for
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
    if std < 2 * step:  # equal but for rounding
        return Moments(origin + mean, 1.0, lost=largest > 2**53)
    return Moments(origin + mean, std, lost=step > _COARSE * std)
