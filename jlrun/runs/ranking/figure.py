"""Sources to transfer from, by each measure of transferability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jlrun.reporting.figures.canvas import plain_figure
from jlrun.reporting.figures.style import FONT_SIZE, INK, PALETTE, quiet_axes
from jlrun.runs.ranking import TITLES
from jlrun.wording import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from jlrun.runs.ranking.ranking import Ranking

LONGEST_NAME = 36
MARKERS = ("o", "s", "D", "^", "v", "P")
SPREAD = 0.5  # of the markers of a candidate, in rows


def ranking_figure(rankings: Sequence[Ranking]) -> Figure:
    """Draw a panel per task: a row per candidate, the best above, and a marker per measure.

    Each measure has its own scale, from the worst candidate to the best.
    """
    heights = [0.6 + 0.45 * len(ranking.rows) for ranking in rankings]
    size = (7.0, 0.7 + sum(heights))
    figure = plain_figure(figsize=size, dpi=120, layout="constrained")
    panels = figure.subplots(len(rankings), 1, squeeze=False, height_ratios=heights)[:, 0]
    shown = [name for name in TITLES if any(_values(ranking, name) for ranking in rankings)]
    for axes, ranking in zip(panels, rankings, strict=True):
        _draw(axes, ranking, shown)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside upper center",
        ncols=len(shown),
        frameon=False,
        fontsize=FONT_SIZE - 1,
        labelcolor=INK,
        handletextpad=0.1,
        columnspacing=1.0,
    )
    panels[-1].set_xlabel("each measure from its worst to its best candidate", fontsize=FONT_SIZE)
    return figure


def _draw(axes: Axes, ranking: Ranking, shown: Sequence[str]) -> None:
    quiet_axes(axes)
    step = SPREAD / max(len(shown) - 1, 1)
    for place, name in enumerate(shown):
        offset = place * step - SPREAD / 2 if len(shown) > 1 else 0.0
        values = _values(ranking, name)
        axes.plot(
            list(_scaled(values).values()),
            [row + offset for row in values],
            linestyle="none",
            marker=MARKERS[place % len(MARKERS)],
            color=PALETTE[place % len(PALETTE)],
            markersize=5,
            clip_on=False,
            label=TITLES[name],
        )
    axes.set_yticks(
        range(len(ranking.rows)), [shorten(row.name, LONGEST_NAME) for row in ranking.rows]
    )
    for label, row in zip(axes.get_yticklabels(), ranking.rows, strict=True):
        label.set_color(INK if row.trained else PALETTE[6])
    axes.set_ylim(len(ranking.rows) - 0.5, -0.5)
    axes.set_xlim(-0.03, 1.03)
    axes.set_xticks([0, 1], ["worst", "best"])
    axes.set_title(ranking.task, fontsize=FONT_SIZE + 1, color=INK, loc="left")


def _values(ranking: Ranking, name: str) -> dict[int, float]:
    """Return row -> score, of the rows that have one."""
    found = ((i, row.scores[name]) for i, row in enumerate(ranking.rows))
    return {i: value for i, value in found if value is not None}


def _scaled(values: dict[int, float]) -> dict[int, float]:
    """Return row -> 0 for the worst to 1 for the best; ½ where all are equal but for rounding."""
    low, high = min(values.values(), default=0.0), max(values.values(), default=0.0)
    if high - low <= 1e-9:
        return dict.fromkeys(values, 0.5)
    return {i: (value - low) / (high - low) for i, value in values.items()}
