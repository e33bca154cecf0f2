"""Numbers in figures as people write them: prices as prices, years as years."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

_MOST_DIGITS = 9


def number_format(values: Sequence[float]) -> Callable[[float], str]:
    """Return a format with as many decimals as the spread of ``values`` needs, three digits of it.

    Whole values have thousands separators: ``1,133,700``. What is too large or small to be read as
    digits has an exponent.
    """
    known = [value for value in values if math.isfinite(value)]
    spread = max(known, default=0.0) - min(known, default=0.0)
    spread = spread or max((abs(value) for value in known), default=1.0) or 1.0
    decimals = max(0, 2 - math.floor(math.log10(spread)))
    whole = math.floor(math.log10(max(map(abs, known), default=1.0) or 1.0)) + 1
    if decimals > _MOST_DIGITS or whole > _MOST_DIGITS + 6:
        return lambda value: f"{value:.2e}"
    return lambda value: f"{round(value, decimals) + 0.0:,.{decimals}f}"


def plain_number(value: float) -> str:
    """Return a number of at most six digits without an exponent, as far as that can be read."""
    rounded = float(f"{value:.6g}")
    if rounded and not 1e-6 <= abs(rounded) < 1e12:
        return f"{rounded:g}"
    return np.format_float_positional(rounded + 0.0, trim="-")
