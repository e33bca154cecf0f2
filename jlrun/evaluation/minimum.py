"""Minimum of a function of one number, without importing SciPy's optimizers: half a second."""

from __future__ import annotations

import math
from collections.abc import Callable

_GOLDEN = 0.5 * (3 - math.sqrt(5))
_RELATIVE, _ABSOLUTE, _MOST = math.sqrt(2.2e-16), 1e-5, 500


def minimize_bounded(f: Callable[[float], float], low: float, high: float) -> tuple[float, float]:
    """Return x in [low, high] with a small f(x), and f(x): a minimum if there is only one.

    Brent's method ("Algorithms for Minimization without Derivatives", 1973, chapter 5): parabolas
    through the three best points, and golden sections where these don't help. The same numbers as
    ``scipy.optimize.minimize_scalar(f, bounds=(low, high), method="bounded")``.
    """
    # x best point, w second best, v third; step the last one, before the one before it
    a, b = low, high
    x = w = v = a + _GOLDEN * (b - a)
    fx = fw = fv = f(x)
    step = before = 0.0
    for _ in range(1, _MOST):
        middle, near = 0.5 * (a + b), _RELATIVE * abs(x) + _ABSOLUTE / 3
        if not abs(x - middle) > 2 * near - 0.5 * (b - a):
            break
        parabolic = False
        if abs(before) > near:
            r, q = (x - w) * (fx - fv), (x - v) * (fx - fw)
            p, q = (x - v) * q - (x - w) * r, 2 * (q - r)
            p, q = -p if q > 0 else p, abs(q)
            parabolic = abs(p) < abs(0.5 * q * before) and q * (a - x) < p < q * (b - x)
            before = step
            if parabolic:
                step = p / q
                if x + step - a < 2 * near or b - (x + step) < 2 * near:
                    step = near * _sign(middle - x)
        if not parabolic:
            before = (a if x >= middle else b) - x
            step = _GOLDEN * before
        u = x + _sign(step) * max(abs(step), near)
        fu = f(u)
        if fu <= fx:
            a, b = (x, b) if u >= x else (a, x)
            v, fv, w, fw, x, fx = w, fw, x, fx, u, fu
            continue
        a, b = (u, b) if u < x else (a, u)
        if fu <= fw or w == x:
            v, fv, w, fw = w, fw, u, fu
        elif fu <= fv or v in (x, w):
            v, fv = u, fu
    return x, fx


def _sign(value: float) -> float:
    return -1.0 if value < 0 else 1.0
