"""Style of all figures: colours for colour-blind readers, and quiet axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from jlrun.wording import shorten as shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito, "Color Universal Design", 2008, without its yellow, which is too pale for lines.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F")
WRONG = "#D55E00"
INK = "#333333"
FAINT = "#DDDDDD"

FONT_SIZE = 9
Place = Literal["outside upper center", "outside lower left"]


def quiet_axes(axes: Axes) -> None:
    """Leave two thin spines, a faint grid and small labels."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(INK)
        axes.spines[side].set_linewidth(0.6)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=FONT_SIZE - 1, colors=INK, width=0.6, length=3)


def add_legend(figure: Figure, loc: Place, per_row: int, fewest: int = 1) -> None:
    """Add one legend of all that is labelled in any panel, each label once.

    Args:
        figure: with its panels drawn.
        loc: outside the panels.
        per_row: most labels in a row.
        fewest: number of labels under which there is no legend.
    """
    handles: dict[Any, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if len(handles) >= fewest:
        figure.legend(
            handles.values(),
            handles.keys(),
            loc=loc,
            ncols=min(len(handles), per_row),
            frameon=False,
            fontsize=FONT_SIZE,
            labelcolor=INK,
        )
