"""Curves of several runs in one figure: training loss above the validation score of each task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jlrun.reporting.figures.canvas import legend_label, plain_figure
from jlrun.reporting.figures.curves import Panel, panels
from jlrun.reporting.figures.style import FONT_SIZE, PALETTE, add_legend, quiet_axes
from jlrun.reporting.recorders.metrics_csv import Curve
from jlrun.training.recorder import MAIN_FIT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STROKES = ("-", ":", "--")
Found = Mapping[tuple[str, str], Mapping[int, tuple[Panel, Sequence[Curve]]]]


@dataclass(frozen=True)
class NamedCurves:
    """Curves of a run.

    Attributes:
        name: in the legend.
        curves: of all its fits.
        primary: task -> metric to show.
    """

    name: str
    curves: Sequence[Curve]
    primary: Mapping[str, str]


def by_task(runs: Sequence[NamedCurves]) -> Found:
    """Return (task, metric) -> number of a run -> what the main fit recorded in the last phase that
    has this task."""
    found: dict[tuple[str, str], dict[int, tuple[Panel, Sequence[Curve]]]] = {}
    for number, run in enumerate(runs):
        for panel in panels(run.curves, run.primary):
            own = [c for c in run.curves if (c.fit, c.phase) == (MAIN_FIT, panel.phase)]
            found.setdefault((panel.task, panel.metric), {})[number] = panel, own
    return found


def compared_curves(runs: Sequence[NamedCurves]) -> Figure:
    """Draw a column for each task, and a line for each run."""
    found = by_task(runs)
    columns = max(1, len(found))
    figure = plain_figure(
        figsize=(max(4.6, 3.4 * columns), 5.0 + 0.2 * len(runs)), dpi=120, layout="constrained"
    )
    axes = figure.subplots(2, columns, squeeze=False)
    for column, ((task, metric), lines) in enumerate(found.items()):
        upper, lower = axes[:, column]
        _draw(upper, [(n, c) for n, p, c in _each(lines) if c.tag == p.loss_tag], runs)
        _draw(lower, [(n, c) for n, p, c in _each(lines) if c.tag == p.score_tag], runs)
        upper.set_title(task, fontsize=FONT_SIZE + 1)
        upper.set_ylabel("training loss", fontsize=FONT_SIZE)
        name = metric.rpartition("/")[2].replace("_", " ")
        lower.set_ylabel(f"validation {name}", fontsize=FONT_SIZE)
        lower.set_xlabel("optimizer steps", fontsize=FONT_SIZE)
    add_legend(figure, "outside lower left", per_row=1)
    return figure


def _each(
    lines: Mapping[int, tuple[Panel, Sequence[Curve]]],
) -> Iterator[tuple[int, Panel, Curve]]:
    for number, (panel, curves) in lines.items():
        yield from ((number, panel, curve) for curve in curves)


def _draw(axes: Axes, lines: Sequence[tuple[int, Curve]], runs: Sequence[NamedCurves]) -> None:
    quiet_axes(axes)
    for number, curve in lines:
        again, place = divmod(number, len(PALETTE))
        axes.plot(
            curve.steps,
            curve.values,
            label=legend_label(runs[number].name),
            color=PALETTE[place],
            linestyle=_STROKES[min(again, len(_STROKES) - 1)],
            linewidth=3.2 - 2 * number / len(runs),  # what coincides is seen
        )
    axes.set_xlim(left=0)
