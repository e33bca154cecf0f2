"""Precision, recall and F1 of each class or label."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from jlrun.reporting.figures.style import FONT_SIZE, PALETTE, quiet_axes, shorten

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 30
NAME_LENGTH = 20
MEASURES = ("precision", "recall", "f1")
MARKERS = ("<", ">", "D")


def per_class(found: Mapping[str, Mapping[str, float]], title: str) -> Figure:
    """Draw precision, recall and F1 of each class, of many classes those with the smallest F1.

    Args:
        found: class -> ``precision``, ``recall``, ``f1``, and ``rows``, in which it occurs.
        title: of the figure.
    """
    from matplotlib.figure import Figure

    names = list(found)
    if len(names) > SHOWN:
        names = sorted(names, key=lambda name: _known(found[name]["f1"]))[:SHOWN]
        title += f", {SHOWN} of {len(found)} classes with the smallest F1"
    figure = Figure(figsize=(6.4, 1.6 + 0.26 * len(names)), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    quiet_axes(axes)
    places = range(len(names))
    for i, measure in enumerate(MEASURES):
        values = [_known(found[name][measure], math.nan) for name in names]
        label = "F1" if measure == "f1" else measure
        axes.plot(values, places, MARKERS[i], color=PALETTE[i], label=label, alpha=0.85)
    rows = [f"{shorten(name, NAME_LENGTH)} ({int(found[name]['rows']):,})" for name in names]
    axes.set_yticks(places, rows, parse_math=False)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(-0.03, 1.03)
    axes.set_xlabel("share (class, and the rows it occurs in)", fontsize=FONT_SIZE)
    axes.set_title(title, fontsize=FONT_SIZE + 2, parse_math=False)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=FONT_SIZE - 1)
    return figure


def _known(value: float | None, otherwise: float = 2.0) -> float:
    """Return a measure, ``otherwise`` where it is undefined: None in files, NaN elsewhere."""
    return otherwise if value is None or math.isnan(value) else value
