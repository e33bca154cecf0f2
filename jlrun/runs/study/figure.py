"""Heat maps of a study: how much each task gains with, and after, each other task."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jlrun.reporting.figures.canvas import plain_figure
from jlrun.reporting.figures.style import FONT_SIZE, INK
from jlrun.wording import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from jlrun.runs.study.answers import Answers
    from jlrun.runs.study.comparisons import Answer

_CALLED = {"better", "worse"}


def matrix_figure(answers: Answers) -> Figure | None:
    """Draw the gains of each task (columns) from each other (rows), in percent; None without any.

    Those that hold beyond noise are bold and coloured; others are within it, whatever their size.
    """
    together = "joint" if len(answers.tasks) == 2 else "pairs"
    possible = {
        "learned together with": answers.of(together),
        "learned after": answers.of("transfer"),
    }
    panels = {title: found for title, found in possible.items() if found}
    if not panels:
        return None
    size = min(9.0, 2.6 + 0.7 * len(answers.tasks))
    figure = plain_figure(figsize=((size + 0.9) * len(panels), size), dpi=120, layout="constrained")
    gains = [_coloured(a) for found in panels.values() for a in found if a.found]
    bound = max((abs(gain) for gain in gains), default=1.0) or 1.0
    drawn = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, found) in zip(drawn, panels.items(), strict=True):
        _panel(axes, answers.tasks, found, bound)
        axes.set_title(
            f"gain of a task {title} another\n(bold, coloured: beyond noise)", fontsize=FONT_SIZE
        )
    return figure


def _panel(axes: Axes, tasks: Sequence[str], found: Sequence[Answer], bound: float) -> None:
    cells = {(a.comparison.what, a.comparison.task): a for a in found}
    values = [[_coloured(cells.get((row, column))) for column in tasks] for row in tasks]
    axes.imshow(values, cmap="RdBu", vmin=-bound, vmax=bound, interpolation="nearest")
    names = [shorten(task, 18) for task in tasks]
    axes.set_xticks(range(len(tasks)), names, rotation=90 if max(map(len, names)) > 7 else 0)
    axes.set_yticks(range(len(tasks)), names)
    axes.tick_params(labelsize=FONT_SIZE - 1, length=0)
    axes.set_xlabel("task that gains", fontsize=FONT_SIZE)
    axes.set_ylabel("the other task", fontsize=FONT_SIZE)
    for (row, column), answer in cells.items():
        value = _percent(answer)
        axes.text(
            tasks.index(column),
            tasks.index(row),
            f"{value:+.1f} %",
            ha="center",
            va="center",
            fontsize=FONT_SIZE - 1,
            fontweight="bold" if answer.call in _CALLED else "normal",
            color="white" if abs(_coloured(answer)) > 0.6 * bound else INK,
        )


def _coloured(answer: Answer | None) -> float:
    """Return the gain that a cell's colour shows: 0 within noise, NaN for an empty cell."""
    value = _percent(answer)
    within = answer is not None and answer.call not in _CALLED
    return 0.0 if within and math.isfinite(value) else value


def _percent(answer: Answer | None) -> float:
    return math.nan if answer is None or answer.found is None else answer.found.percent
