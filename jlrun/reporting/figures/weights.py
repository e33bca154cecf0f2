"""The weights of the tasks over time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jlrun.reporting.figures.canvas import legend_label, plain_figure
from jlrun.reporting.figures.style import FONT_SIZE, INK, PALETTE, quiet_axes
from jlrun.reporting.recorders.metrics_csv import Curve, read_curves
from jlrun.training.diagnosis.tags import WEIGHT
from jlrun.training.recorder import MAIN_FIT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LINE_STYLES = ("-", "--", ":", "-.")  # once more through the palette in each


def weights(metrics: Path) -> Figure | None:
    """Draw the weights in a ``metrics.csv``: one panel per phase of the main fit, a line per task.

    None where no weight ever changes: then they stand in the config.
    """
    phases: dict[str, list[Curve]] = {}
    for curve in read_curves(metrics):
        if curve.fit == MAIN_FIT and curve.tag.startswith(WEIGHT):
            phases.setdefault(curve.phase, []).append(curve)
    shown = {phase: curves for phase, curves in phases.items() if _is_telling(curves)}
    if not shown:
        return None
    figure = plain_figure(figsize=(4.6 * len(shown), 3.2), dpi=120, layout="constrained")
    panels = figure.subplots(1, len(shown), squeeze=False)[0]
    for axes, (phase, curves) in zip(panels, shown.items(), strict=True):
        quiet_axes(axes)
        for i, curve in enumerate(curves):
            axes.plot(
                curve.steps,
                curve.values,
                label=legend_label(curve.tag.removeprefix(WEIGHT)),
                color=PALETTE[i % len(PALETTE)],
                linestyle=LINE_STYLES[i // len(PALETTE) % len(LINE_STYLES)],
                linewidth=1.6,
            )
        title = "weights of the tasks"
        axes.set_title(title if len(shown) == 1 else f"{phase}: {title}", fontsize=FONT_SIZE + 1)
        axes.set_xlabel("optimizer steps", fontsize=FONT_SIZE)
        axes.set_xlim(left=0)
        axes.legend(
            frameon=False, fontsize=FONT_SIZE - 1, labelcolor=INK, ncols=-(-len(curves) // 8)
        )
    return figure


def _is_telling(curves: Sequence[Curve]) -> bool:
    return len(curves) > 1 and any(len(set(curve.values)) > 1 for curve in curves)
