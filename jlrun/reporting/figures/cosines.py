"""Heat maps of how tasks relate: cosines between their gradients, and their affinity."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING

from jlrun.reporting.figures.canvas import plain_figure
from jlrun.reporting.figures.style import FONT_SIZE, INK
from jlrun.wording import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from jlrun.reporting.task_relations import Relations

WRITTEN_TASKS = 16  # up to here each cell shows its value
NAMED_TASKS = 40  # up to here each task shows its name
NAME_LENGTH = 18
Table = Mapping[str, Mapping[str, float]]


def gradient_cosines(phases: Sequence[Relations]) -> Figure | None:
    """Draw the mean cosine of each pair of tasks: one heat map per phase; None without any."""
    return _heat_maps(
        phases,
        lambda relations: relations.cosine,
        title="mean cosine of the task gradients",
        label="opposed  ←   → in common",
        write="{:+.2f}",
        bound=1.0,
    )


def task_affinity(phases: Sequence[Relations]) -> Figure | None:
    """Draw how much a step on one task (rows) lowers the loss of another (columns), in percent of
    it: one heat map per phase that measured it; None without any."""
    measured = [relations for relations in phases if relations.affinity]
    percent = {id(relations): _in_percent(relations.affinity) for relations in measured}
    found = [
        abs(value)
        for table in percent.values()
        for source, row in table.items()
        for target, value in row.items()
        if source != target and isfinite(value)
    ]
    return _heat_maps(
        measured,
        lambda relations: percent[id(relations)],
        title="a step on one task lowers\nthe loss of another, %",
        label="hurts  ←   → helps",
        write="{:+.2g}",
        bound=max(found, default=1.0) or 1.0,
        axes_names=("task whose loss changes", "task that steps"),
    )


def _in_percent(table: Table) -> Table:
    return {task: {o: 100 * z for o, z in row.items()} for task, row in table.items()}


def _heat_maps(
    phases: Sequence[Relations],
    table_of: Callable[[Relations], Table],
    *,
    title: str,
    label: str,
    write: str,
    bound: float,
    axes_names: tuple[str, str] = ("", ""),
) -> Figure | None:
    """Draw a heat map of pairs for each phase.

    Args:
        phases: of the maps.
        table_of: relations -> task of the row -> task of the column -> value.
        title: of each map.
        label: of the bar of colours.
        write: format of a value.
        bound: the value of the darkest colour, as that of the palest negative one; a value beyond
            it has the same.
        axes_names: what columns and rows are.
    """
    if not phases:
        return None
    size = min(9.0, 2.6 + 0.5 * max(len(relations.tasks) for relations in phases))
    figure = plain_figure(figsize=((size + 0.9) * len(phases), size), dpi=120, layout="constrained")
    panels = figure.subplots(1, len(phases), squeeze=False)[0]
    for axes, relations in zip(panels, phases, strict=True):
        table = table_of(relations)
        image = axes.imshow(
            _matrix(relations.tasks, table),
            cmap="RdBu",
            vmin=-bound,
            vmax=bound,
            interpolation="nearest",
        )
        _name_tasks(axes, relations.tasks)
        axes.set_xlabel(axes_names[0], fontsize=FONT_SIZE)
        axes.set_ylabel(axes_names[1], fontsize=FONT_SIZE)
        if len(relations.tasks) <= WRITTEN_TASKS:
            _write_values(axes, relations.tasks, table, write, bound)
        axes.set_title(
            title if len(phases) == 1 else f"{relations.phase}: {title}",
            fontsize=FONT_SIZE + 1,
            color=INK,
        )
        bar = figure.colorbar(image, ax=axes, shrink=0.7, aspect=30)
        bar.set_label(label, fontsize=FONT_SIZE)
        bar.ax.tick_params(labelsize=FONT_SIZE - 1)
        bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    return figure


def _matrix(tasks: Sequence[str], table: Table) -> list[list[float]]:
    """Return rows of values; not a number on the diagonal, and for pairs that never met."""
    return [
        [float("nan") if row == column else _value(table, row, column) for column in tasks]
        for row in tasks
    ]


def _value(table: Table, row: str, column: str) -> float:
    return table.get(row, {}).get(column, float("nan"))


def _name_tasks(axes: Axes, tasks: Sequence[str]) -> None:
    axes.tick_params(labelsize=FONT_SIZE - 1, length=0)
    if len(tasks) > NAMED_TASKS:  # leave matplotlib's own few indices
        return
    names = [shorten(task, NAME_LENGTH) for task in tasks]
    long = max(map(len, names)) > 7
    axes.set_xticks(range(len(names)), names, rotation=90 if long else 0)
    axes.set_yticks(range(len(names)), names)


def _write_values(axes: Axes, tasks: Sequence[str], table: Table, write: str, bound: float) -> None:
    for row, task in enumerate(tasks):
        for column, other in enumerate(tasks):
            value = _value(table, task, other)
            if isfinite(value):
                axes.text(
                    column,
                    row,
                    write.format(value),
                    ha="center",
                    va="center",
                    fontsize=FONT_SIZE - 1,
                    color="white" if task != other and abs(value) > 0.6 * bound else INK,
                )
