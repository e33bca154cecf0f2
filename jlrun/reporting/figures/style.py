"""Style of all figures: colours for colour-blind readers, and quiet axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jlrun.wording import shorten as shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito, "Color Universal Design", 2008, without its yellow, which is too pale for lines.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F")
WRONG = "#D55E00"
INK = "#333333"
FAINT = "#DDDDDD"

FONT_SIZE = 9


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
