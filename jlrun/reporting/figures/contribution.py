"""Contribution of each modality to the scores of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jlrun.reporting.figures.plain import plain_figure
from jlrun.reporting.figures.style import FONT_SIZE, INK, PALETTE, quiet_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KINDS = {"shapley": "Shapley value", "ablation": "loss without it"}
BAR = 0.36


def contribution(found: Mapping[str, Any]) -> Figure:
    """Draw a panel per task with two bars per modality: its Shapley value, and what its absence
    costs.

    Args:
        found: the ``contribution`` of a result, of one task or more.
    """
    count = max(len(shares["shapley"]) for shares in found.values())
    size = (0.8 + 3.2 * len(found), 1.5 + 0.55 * count)
    figure = plain_figure(figsize=size, dpi=120, layout="constrained")
    panels = figure.subplots(1, len(found), squeeze=False)[0]
    for column, (axes, (task, shares)) in enumerate(zip(panels, found.items(), strict=True)):
        _draw(axes, shares, named=column == 0)
        axes.set_title(task, fontsize=FONT_SIZE + 1)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside upper center",
        ncols=len(KINDS),
        frameon=False,
        fontsize=FONT_SIZE - 1,
        labelcolor=INK,
    )
    return figure


def _draw(axes: Axes, shares: Mapping[str, Any], named: bool) -> None:
    quiet_axes(axes)
    names = list(shares["shapley"])
    for i, (kind, label) in enumerate(KINDS.items()):
        values = [shares[kind][name] for name in names]
        places = [place + (i - 0.5) * BAR for place in range(len(names))]
        bars = axes.barh(places, values, height=BAR, color=PALETTE[i], label=label)
        axes.bar_label(bars, [f"{v:+.3f}" for v in values], padding=3, fontsize=FONT_SIZE - 2)
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.margins(x=0.22)
    axes.set_yticks(range(len(names)), names if named else [""] * len(names))
    axes.grid(visible=False, axis="y")
    axes.axvline(0, color=INK, linewidth=0.6)
    metric = shares["metric"].replace("_", " ")
    axes.set_xlabel(
        f"test {metric}: {shares['none']:.3f} to {shares['all']:.3f}", fontsize=FONT_SIZE
    )
