"""Curves of runs in a report, thinned so that the page stays small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from jlrun.reporting.figures.compared import NamedCurves, by_task
from jlrun.reporting.figures.curves import Panel, baseline_of, main_phases, panel_title, panels
from jlrun.reporting.recorders.metrics_csv import Curve, read_curves
from jlrun.runs.report.charts import Line, curve_chart
from jlrun.runs.report.content import Chart
from jlrun.training.recorder import MAIN_FIT

MOST_PANELS = 12  # of a run


def run_curves(metrics: Path, primary: Mapping[str, str], points: int) -> list[Chart]:
    """Return a chart for each phase and task: training loss above the validation score.

    Args:
        metrics: ``metrics.csv`` of the run.
        primary: task -> metric to show.
        points: of a curve, at most.

    Raises:
        UserError: if the file is damaged.
    """
    curves = read_curves(metrics)
    shown = panels(curves, primary)
    return [_panel_chart(curves, p, panel_title(p, shown), points) for p in shown[:MOST_PANELS]]


def shared_curves(runs: Sequence[NamedCurves], points: int) -> list[Chart]:
    """Return a chart for each task: the validation score of all runs, over the steps of the last
    phase that has it."""
    charts = []
    for (task, metric), found in list(by_task(runs).items())[:MOST_PANELS]:
        lines = [
            Line(runs[number].name, *thinned(curve, points), number)
            for number, (panel, curves) in found.items()
            for curve in curves
            if panel.score_tag and curve.tag == panel.score_tag
        ]
        if lines:
            title = f"validation {metric.rpartition('/')[2].replace('_', ' ')}"
            charts.append(curve_chart(task or metric, lines, title))
    return charts


def thinned(curve: Curve, points: int) -> tuple[list[int], list[float]]:
    """Return at most ``points`` steps and values of a curve, evenly spaced, with both ends."""
    count = len(curve.steps)
    if count <= points:
        return list(curve.steps), list(curve.values)
    chosen = sorted({round(i * (count - 1) / (points - 1)) for i in range(points)})
    return [curve.steps[i] for i in chosen], [curve.values[i] for i in chosen]


def _panel_chart(curves: Sequence[Curve], panel: Panel, title: str, points: int) -> Chart:
    names = list(dict.fromkeys([MAIN_FIT, *(baseline_of(curve.fit) for curve in curves)]))
    phases, lines = main_phases(curves), list[Line]()
    for curve in curves:
        counterpart = curve.phase if curve.phase in phases else phases[-1]
        if counterpart != panel.phase or curve.tag not in (panel.loss_tag, panel.score_tag):
            continue
        main, lower = curve.fit == MAIN_FIT, curve.tag == panel.score_tag
        name = "model" if main else baseline_of(curve.fit)
        colour = names.index(baseline_of(curve.fit))
        lines.append(Line(name, *thinned(curve, points), colour, main, lower))
    below = f"validation {panel.metric.rpartition('/')[2].replace('_', ' ')}"
    return curve_chart(title, lines, "training loss", below if panel.score_tag else "")
