"""Learning curves of a run and its baselines, side by side."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jlrun.evaluation.retrieval.ranks import RECALL
from jlrun.reporting.figures.canvas import legend_label, plain_figure
from jlrun.reporting.figures.style import FONT_SIZE, INK, PALETTE, add_legend, quiet_axes
from jlrun.reporting.recorders.metrics_csv import Curve, read_curves
from jlrun.training.recorder import MAIN_FIT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS_PER_ROW = 4
BRIEF = 2  # epochs up to which a phase has no curve to speak of
DASHES = ((0, (5, 2)), (0, (2, 2)), (0, (7, 2, 1.5, 2)), (0, (1, 1.5)))
MARKED_POINTS = 25  # curves with fewer points show each of them


@dataclass(frozen=True)
class Panel:
    """One column of the picture: a task in a phase of the main fit.

    Attributes:
        phase: name of the phase.
        task: label of the task; empty for a phase without tasks, which shows its total loss.
        metric: its validation score; in a phase without tasks the tag of what selected the weights,
            empty if there was nothing to draw.
    """

    phase: str
    task: str = ""
    metric: str = ""

    @property
    def loss_tag(self) -> str:
        """Tag of the upper curves."""
        return f"train/{self.task}/loss" if self.task else "train/total_loss"

    @property
    def score_tag(self) -> str:
        """Tag of the lower curves; empty if there are none."""
        return f"val/{self.task}/{self.metric}" if self.task else self.metric


def curves(metrics: Path, primary: Mapping[str, str] | None = None) -> Figure:
    """Draw training loss over validation score: one column per phase and task, one line per fit.

    The phases of all fits begin at step 0, so that a baseline can be compared to the phase that it
    is the alternative to: the one of the same name, or the last.

    Args:
        metrics: the ``metrics.csv`` of a run.
        primary: task -> metric to show; the first that is not a loss where it has none.
    """
    lines = read_curves(metrics)
    shown, brief = _without_brief(panels(lines, primary or {}), lines)
    columns = min(COLUMNS_PER_ROW, max(1, len(shown)))
    rows = max(1, -(-len(shown) // columns))
    size = (max(4.6, 3.1 * columns + 0.4), 4.3 * rows + 0.4)
    figure = plain_figure(figsize=size, dpi=120, layout="constrained")
    axes = figure.subplots(2 * rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_visible(False)
    for i, panel in enumerate(shown):
        row, column = divmod(i, columns)
        _draw_panel(axes[2 * row, column], axes[2 * row + 1, column], lines, panel)
        axes[2 * row, column].set_title(panel_title(panel, shown), fontsize=FONT_SIZE + 1)
    add_legend(figure, "outside upper center", per_row=2 * columns, fewest=2)
    if brief:
        note = f"not drawn: {', '.join(brief)}, of {BRIEF} epochs at most"
        figure.supxlabel(note, fontsize=FONT_SIZE - 1, color=INK)
    return figure


def _without_brief(
    found: Sequence[Panel], lines: Sequence[Curve]
) -> tuple[Sequence[Panel], Sequence[str]]:
    """Return the panels of phases that last, and the phases of which two points are all there is;
    these are drawn where there are no others."""
    epochs = {
        phase: max(len(line.steps) for line in lines if (line.fit, line.phase) == (MAIN_FIT, phase))
        for phase in main_phases(lines)
    }
    scored = {
        panel.phase: len(line.steps)
        for panel in found
        for line in lines
        if (line.fit, line.phase, line.tag) == (MAIN_FIT, panel.phase, panel.score_tag)
    }
    brief = [phase for phase in epochs if scored.get(phase, epochs[phase]) <= BRIEF]
    lasting = [panel for panel in found if panel.phase not in brief]
    return (lasting, brief) if lasting else (found, [])


def panels(lines: Sequence[Curve], primary: Mapping[str, str]) -> list[Panel]:
    """Return what there is to draw; `primary` is task -> metric, as for `curves`."""
    found = []
    for phase in main_phases(lines):
        tags = [line.tag for line in lines if (line.fit, line.phase) == (MAIN_FIT, phase)]
        matches = (re.fullmatch(r"val/(.+)/([^/]+)", tag) for tag in tags)
        metrics: dict[str, str] = {}
        for match in matches:
            if match and match[2] != "loss":
                wanted = primary.get(match[1], match[2])
                # The test split may be scored by another metric than validation.
                metrics.setdefault(
                    match[1], wanted if f"val/{match[1]}/{wanted}" in tags else match[2]
                )
        judged = RECALL if RECALL in tags else ""
        unscored = [Panel(phase, metric=judged)] if "train/total_loss" in tags else []
        found += [Panel(phase, task, metric) for task, metric in metrics.items()] or unscored
    return found


def main_phases(lines: Sequence[Curve]) -> list[str]:
    """Return the phases of the main fit, in their order."""
    return list(dict.fromkeys(line.phase for line in lines if line.fit == MAIN_FIT))


def panel_title(panel: Panel, panels: Sequence[Panel]) -> str:
    """Return the name of a panel among others: its phase where there are several, its task."""
    several_phases = len({other.phase for other in panels}) > 1
    names = [panel.phase if several_phases or not panel.task else "", panel.task]
    return ": ".join(filter(None, names))


def _draw_panel(upper: Axes, lower: Axes, lines: Sequence[Curve], panel: Panel) -> None:
    _draw_lines(upper, lines, panel, panel.loss_tag)
    upper.set_ylabel("training loss", fontsize=FONT_SIZE)
    if upper.get_ylim()[0] > 0:
        upper.set_ylim(bottom=0)
    if panel.score_tag:
        _draw_lines(lower, lines, panel, panel.score_tag)
        name = panel.metric.rpartition("/")[2].replace("_", " ")
        lower.set_ylabel(f"validation {name}", fontsize=FONT_SIZE)
    last = lower if panel.score_tag else upper
    last.set_xlabel("optimizer steps", fontsize=FONT_SIZE)


def _draw_lines(axes: Axes, lines: Sequence[Curve], panel: Panel, tag: str) -> None:
    axes.set_visible(True)
    quiet_axes(axes)
    colours = _colours(lines)
    phases = main_phases(lines)
    names = list(colours)
    for line in lines:
        counterpart = line.phase if line.phase in phases else phases[-1]
        if line.tag != tag or counterpart != panel.phase:
            continue
        main, place = line.fit == MAIN_FIT, names.index(baseline_of(line.fit))
        # Broad below narrow, and gaps in what lies above: curves that coincide are all seen.
        axes.plot(
            line.steps,
            line.values,
            label="model" if main else legend_label(baseline_of(line.fit)),
            color=colours[names[place]],
            linewidth=2.6 if main else max(0.9, 1.9 - 0.3 * place),
            linestyle="-" if main else DASHES[(place - 1) % len(DASHES)],
            alpha=0.8 if main else 1.0,
            marker="o" if len(line.steps) < MARKED_POINTS else None,
            markersize=4 if main else 2.5,
            zorder=2 + 0.1 * place,
        )
    axes.set_xlim(left=0)


def baseline_of(fit: str) -> str:
    """Return the baseline that a fit is part of: ``single_task`` of ``single_task/digit``."""
    return fit.split("/")[0]


def _colours(lines: Sequence[Curve]) -> dict[str, str]:
    names = dict.fromkeys([MAIN_FIT, *(baseline_of(line.fit) for line in lines)])
    return {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(names)}
