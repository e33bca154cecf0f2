"""Formats of numbers, wherever jlrun shows them."""

from __future__ import annotations

import math

MISSING = "-"


def format_score(value: float | None) -> str:
    """Three decimals, for scores and losses; an exponent where three decimals are all 0."""
    if value is None or math.isnan(value):
        return MISSING
    if value != 0 and not 5e-4 <= abs(value) < 1e6:
        return f"{value:.1e}"
    return f"{value:.3f}"


def format_difference(value: float) -> str:
    """A signed difference of scores: ``+0.023``."""
    return f"{value:+.3f}"


def format_estimate(value: float, half_width: float | None) -> str:
    """A signed difference with half the width of its interval: ``+0.101 ± 0.036``.

    The half width keeps two digits, both have as many decimals. Without one, three decimals.
    """
    if half_width is None or not math.isfinite(half_width) or half_width <= 0:
        return format_difference(value)
    decimals = max(0, 1 - math.floor(math.log10(half_width)))
    shown = round(value, decimals) + 0.0  # never -0.0
    return f"{shown:+,.{decimals}f} ± {half_width:,.{decimals}f}"


def format_percent(value: float) -> str:
    """A signed relative difference, of ``value`` in percent: ``+2.6 %``."""
    text = f"{value:+.1f}"
    return f"{'0.0' if float(text) == 0 else text} %"


def format_count(value: float) -> str:
    """A whole number with thousands separators: ``78,410``."""
    return f"{value:,.0f}"


def format_seconds(value: float) -> str:
    """A duration of ``value`` seconds: ``5.1 s``, and ``1:02:03`` from a minute on."""
    if round(value, 1) < 60:
        return f"{value:.1f} s"
    minutes, seconds = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02} min"
