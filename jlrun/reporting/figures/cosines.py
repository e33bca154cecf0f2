"""Heat map of the cosines between task gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from jlrun.reporting.figures.canvas import plain_figure
from jlrun.reporting.figures.style import FONT_SIZE, INK, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from jlrun.reporting.task_relations import Relations

WRITTEN_TASKS = 16  # up to here each cell shows its value
NAMED_TASKS = 40  # up to here each task shows its name
NAME_LENGTH = 18


def gradient_cosines(phases: Sequence[Relations]) -> Figure | None:
    """Draw the mean cosine of each pair of tasks: one heat map per phase; None without any."""
    if not phases:
        return None
    size = min(9.0, 2.6 + 0.5 * max(len(relations.tasks) for relations in phases))
    figure = plain_figure(figsize=((size + 0.9) * len(phases), size), dpi=120, layout="constrained")
    panels = figure.subplots(1, len(phases), squeeze=False)[0]
    for axes, relations in zip(panels, phases, strict=True):
        image = axes.imshow(
            _matrix(relations.tasks, relations.cosine),
            cmap="RdBu",
            vmin=-1,
            vmax=1,
            interpolation="nearest",
        )
        _name_tasks(axes, relations.tasks)
        if len(relations.tasks) <= WRITTEN_TASKS:
            _write_values(axes, relations)
        title = "mean cosine of the task gradients"
        axes.set_title(
            title if len(phases) == 1 else f"{relations.phase}: {title}", fontsize=FONT_SIZE + 1
        )
        bar = figure.colorbar(image, ax=axes, shrink=0.7, aspect=30)
        bar.set_label("opposed  ←   → in common", fontsize=FONT_SIZE)
        bar.ax.tick_params(labelsize=FONT_SIZE - 1)
        bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    return figure


def _matrix(tasks: Sequence[str], cosine: Mapping[str, Mapping[str, float]]) -> list[list[float]]:
    """Return rows of cosines; not a number on the diagonal, and for pairs that never met."""
    return [[cosine.get(row, {}).get(column, float("nan")) for column in tasks] for row in tasks]


def _name_tasks(axes: Axes, tasks: Sequence[str]) -> None:
    axes.tick_params(labelsize=FONT_SIZE - 1, length=0)
    if len(tasks) > NAMED_TASKS:  # leave matplotlib's own few indices
        return
    names = [shorten(task, NAME_LENGTH) for task in tasks]
    long = max(map(len, names)) > 7
    axes.set_xticks(range(len(names)), names, rotation=90 if long else 0)
    axes.set_yticks(range(len(names)), names)


def _write_values(axes: Axes, relations: Relations) -> None:
    for row, task in enumerate(relations.tasks):
        for column, other in enumerate(relations.tasks):
            value = relations.cosine.get(task, {}).get(other)
            if value is not None:
                axes.text(
                    column,
                    row,
                    f"{value:+.2f}",
                    ha="center",
                    va="center",
                    fontsize=FONT_SIZE - 1,
                    color="white" if abs(value) > 0.6 else INK,
                )
