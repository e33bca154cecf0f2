"""Reliability diagram: how often predictions of each confidence are right, and how many there are.

As in Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, figure 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jlrun.reporting.figures.canvas import plain_figure
from jlrun.reporting.figures.style import FAINT, FONT_SIZE, INK, PALETTE, quiet_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def reliability(found: Mapping[str, Any], title: str) -> Figure:
    """Draw the share of right predictions over their confidence, as they are and with temperature.

    Args:
        found: entry of a task in a result's ``calibration``.
        title: of the figure.
    """
    figure = plain_figure(figsize=(4.6, 5.0), dpi=120, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
    for axes in (above, below):
        quiet_axes(axes)
    above.plot((0, 1), (0, 1), color=INK, linewidth=0.8, linestyle=":", label="calibrated")
    parts = {
        "as trained": found["test"],
        f"T = {found['temperature']:.3g}": found["test_calibrated"],
    }
    for i, (label, part) in enumerate(parts.items()):
        _draw(above, below, part, f"{label}: ECE {part['ece']:.3f}", i)
    above.set_title(title, fontsize=FONT_SIZE + 2)
    above.set_ylabel("share that is right", fontsize=FONT_SIZE)
    above.set_xlim(-0.02, 1.02)
    above.set_ylim(-0.02, 1.02)
    above.legend(frameon=False, fontsize=FONT_SIZE - 1, labelcolor=INK, loc="upper left")
    below.set_ylabel("predictions", fontsize=FONT_SIZE)
    below.set_xlabel("confidence", fontsize=FONT_SIZE)
    return figure


def _draw(above: Axes, below: Axes, part: Mapping[str, Any], label: str, number: int) -> None:
    bins, colour = part["bins"], PALETTE[number]
    filled = [m for m, count in enumerate(bins["rows"]) if count]
    x, y = ([bins[key][m] for m in filled] for key in ("confidence", "right"))
    marker, style = "os"[number], ("-", "--")[number]
    above.plot(x, y, color=colour, marker=marker, markersize=4, linestyle=style, label=label)
    count = len(bins["rows"])
    left = [(m + 0.5 * number) / count for m in range(count)]
    below.bar(left, bins["rows"], width=0.5 / count, align="edge", color=colour, edgecolor=FAINT)
