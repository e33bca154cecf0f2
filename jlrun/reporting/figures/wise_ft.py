"""WiSE-FT: scores, on source and target, of weights between the source's and the fine-tuned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING

from jlrun.reporting.figures.canvas import plain_figure
from jlrun.reporting.figures.style import FONT_SIZE, INK, PALETTE, quiet_axes
from jlrun.tasks import SMALLER_IS_BETTER

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CURVE, SELECTED = PALETTE[0], PALETTE[1]


def wise_ft(points: Sequence[Mapping[str, float]], metric: str = "score") -> Figure:
    """Draw test scores on source and target along (1−α) θ₀ + α θ₁, better further up and right.

    The curve of Wortsman et al., "Robust Fine-Tuning of Zero-Shot Models", CVPR 2022. Axes of a
    metric of which less is better are inverted; points with a score that is not finite are left
    out.

    Args:
        points: in any order, each with ``alpha``, ``source`` and ``target``; where ``selected`` is
            there and not 0, the point is marked as the one that was chosen.
        metric: name of the scores.
    """
    shown = sorted(filter(_is_finite, points), key=lambda point: point["alpha"])
    figure = plain_figure(figsize=(4.6, 3.8), dpi=120, layout="constrained")
    axes = figure.subplots()
    quiet_axes(axes)
    axes.margins(x=0.15, y=0.1)
    x, y = ([point[stream] for point in shown] for stream in ("source", "target"))
    axes.plot(x, y, color=CURVE, marker="o", markersize=5, linewidth=1.6)
    for point in shown:
        axes.annotate(
            f"α={point['alpha']:g}",
            (point["source"], point["target"]),
            xytext=(5, 5),
            textcoords="offset points",
            fontsize=FONT_SIZE - 1,
            color=INK,
        )
    chosen = [point for point in shown if point.get("selected")]
    for point in chosen:
        axes.plot(
            point["source"],
            point["target"],
            color=SELECTED,
            linestyle="none",
            marker="o",
            markersize=11,
            markerfacecolor="none",
            markeredgewidth=1.6,
            label=f"selected: α={point['alpha']:g}",
        )
    if chosen:
        axes.legend(frameon=False, fontsize=FONT_SIZE - 1, labelcolor=INK)
    axes.set_title("between source and fine-tuned weights", fontsize=FONT_SIZE + 1)
    axes.set_xlabel(f"source: test {metric}", fontsize=FONT_SIZE)
    axes.set_ylabel(f"target: test {metric}", fontsize=FONT_SIZE)
    if metric in SMALLER_IS_BETTER:
        axes.invert_xaxis()
        axes.invert_yaxis()
    return figure


def _is_finite(point: Mapping[str, float]) -> bool:
    return isfinite(point["source"]) and isfinite(point["target"])
