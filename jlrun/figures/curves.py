"""Learning curves of a run and its baselines, side by side."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jlrun.figures.style import FONT_SIZE, INK, PALETTE, quiet_axes
from jlrun.recorders.base import MAIN_FIT

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS_PER_ROW = 4
MARKED_POINTS = 25  # curves with fewer points show each of them


@dataclass(frozen=True)
class Panel:
    """What one column of the picture shows: a task in a phase of the main fit.

    Attributes:
        phase: name of the phase.
        task: label of the task; empty for a phase without scores, which shows its total loss.
        metric: its validation score; empty as above.
    """

    phase: str
    task: str
    metric: str

    @property
    def loss_tag(self) -> str:
        return f"train/{self.task}/loss" if self.task else "train/total_loss"

    @property
    def score_tag(self) -> str:
        return f"val/{self.task}/{self.metric}" if self.task else ""


def curves(metrics: pd.DataFrame | Path, primary: Mapping[str, str] | None = None) -> Figure:
    """Draw training loss over validation score: one column per phase and task, one line per fit.

    The phases of all fits begin at step 0, so that a baseline can be compared to the phase that it
    is the alternative to: the one of the same name, or the last.

    Args:
        metrics: ``metrics.csv``, as a path or read.
        primary: task -> metric to show; the first that is not a loss where it says nothing.
    """
    from matplotlib.figure import Figure

    table = _in_phase_steps(_read(metrics))
    panels = _panels(table, primary or {})
    columns = min(COLUMNS_PER_ROW, max(1, len(panels)))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(3.1 * columns + 0.4, 4.3 * rows + 0.4), dpi=120, layout="constrained")
    axes = figure.subplots(2 * max(1, rows), columns, squeeze=False)
    for axis in axes.flat:
        axis.set_visible(False)
    for i, panel in enumerate(panels):
        row, column = divmod(i, columns)
        _draw(axes[2 * row, column], axes[2 * row + 1, column], table, panel, len(panels))
    _legend(figure)
    return figure


def _read(metrics: pd.DataFrame | Path) -> pd.DataFrame:
    import pandas as pd

    return pd.read_csv(metrics) if isinstance(metrics, Path) else metrics


def _in_phase_steps(table: pd.DataFrame) -> pd.DataFrame:
    """Add the column ``x``: steps since the phase began, which is where the one before ended."""
    table = table.assign(x=table["step"])
    for _, rows in table.groupby("fit", sort=False):
        first_step = 0
        for _, of_phase in rows.groupby("phase", sort=False):
            table.loc[of_phase.index, "x"] = of_phase["step"] - first_step
            first_step = int(of_phase["step"].max())
    return table


def _panels(table: pd.DataFrame, primary: Mapping[str, str]) -> list[Panel]:
    panels = []
    for phase, rows in table[table["fit"] == MAIN_FIT].groupby("phase", sort=False):
        scores: dict[str, str] = dict(primary)
        tasks = []
        for tag in rows["tag"].unique():
            match = re.fullmatch(r"val/(.+)/([^/]+)", tag)
            if match and match[2] != "loss":
                tasks.append(match[1])
                scores.setdefault(match[1], match[2])
        unscored = [Panel(str(phase), "", "")] if "train/total_loss" in set(rows["tag"]) else []
        scored = [Panel(str(phase), task, scores[task]) for task in dict.fromkeys(tasks)]
        panels += scored or unscored
    return panels


def _draw(upper: Axes, lower: Axes, table: pd.DataFrame, panel: Panel, num_panels: int) -> None:
    title = f"{panel.phase}: {panel.task}" if panel.task else panel.phase
    upper.set_title(title if num_panels > 1 else panel.task or title, fontsize=FONT_SIZE + 1)
    _draw_lines(upper, table, panel, panel.loss_tag)
    upper.set_ylabel("training loss", fontsize=FONT_SIZE)
    upper.set_ylim(bottom=0 if upper.get_ylim()[0] > 0 else None)
    last = lower if panel.score_tag else upper
    if panel.score_tag:
        _draw_lines(lower, table, panel, panel.score_tag)
        lower.set_ylabel(f"validation {panel.metric}".replace("_", " "), fontsize=FONT_SIZE)
    last.set_xlabel("optimizer steps", fontsize=FONT_SIZE)


def _draw_lines(axes: Axes, table: pd.DataFrame, panel: Panel, tag: str) -> None:
    axes.set_visible(True)
    quiet_axes(axes)
    colours = _colours(table)
    for (fit, _), rows in _lines(table, panel, tag):
        name = fit_group(fit)
        main = name == MAIN_FIT
        axes.plot(
            rows["x"].to_numpy(),
            rows["value"].to_numpy(),
            label=name,
            color=colours[name],
            linewidth=2.0 if main else 1.3,
            linestyle="-" if main else "--",
            marker="o" if len(rows) < MARKED_POINTS else None,
            markersize=3,
            zorder=3 if main else 2,
        )


def _lines(
    table: pd.DataFrame, panel: Panel, tag: str
) -> list[tuple[tuple[str, str], pd.DataFrame]]:
    """Return (fit, phase) -> rows of the curves that belong into the panel."""
    main_phases = list(table.loc[table["fit"] == MAIN_FIT, "phase"].unique())
    lines = []
    for (fit, phase), rows in table[table["tag"] == tag].groupby(["fit", "phase"], sort=False):
        counterpart = phase if phase in main_phases else main_phases[-1]
        if counterpart == panel.phase:
            lines.append(((str(fit), str(phase)), rows))
    return lines


def fit_group(fit: str) -> str:
    """Return the baseline that a fit is part of: ``single_task`` of ``single_task/digit``."""
    return fit.split("/")[0]


def _colours(table: pd.DataFrame) -> dict[str, str]:
    groups = dict.fromkeys([MAIN_FIT, *map(fit_group, table["fit"].unique())])
    return {group: PALETTE[i % len(PALETTE)] for i, group in enumerate(groups)}


def _legend(figure: Figure) -> None:
    handles = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if len(handles) > 1:
        figure.legend(
            handles.values(),
            handles.keys(),
            loc="outside upper center",
            ncols=min(len(handles), 5),
            frameon=False,
            fontsize=FONT_SIZE,
            labelcolor=INK,
        )
