"""The variants of a sweep by their scores, and the Pareto front among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jlrun.reporting.figures.canvas import legend_label, plain_figure
from jlrun.reporting.figures.style import FONT_SIZE, INK, PALETTE, add_legend, quiet_axes
from jlrun.wording import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from jlrun.runs.sweeps.comparison import Comparison

FRONT, OTHERS, BASELINE = PALETTE[0], PALETTE[6], PALETTE[1]
SELECTED_BY = "val"
TITLES = {SELECTED_BY: "validation: chosen here", "test": "test: the same variants"}
LONGEST_NAME = 32
MOST_NAMES = 12  # of a front, beyond which names would hide the picture


def pareto(comparison: Comparison, names: Sequence[str], keys: Sequence[str] = ()) -> Figure:
    """Draw validation scores, by which the front was chosen, and the test scores of the same
    variants, better always further up: of two tasks as scatter plots, of more as parallel
    coordinates.

    In test scores a member of the front may lie behind another variant. Dashed: the baselines,
    which have test scores alone.

    Args:
        comparison: with a front.
        names: of the variants.
        keys: that were swept.
    """
    shown = [shorten(name, LONGEST_NAME) for name in names]
    two = len(comparison.primary) == 2
    width = 9.2 if two else max(6.4, 1.6 * len(comparison.primary) + 3)
    figure = plain_figure(figsize=(width, 4.6 if two else 7.6), dpi=120, layout="constrained")
    panels = figure.subplots(*((1, 2) if two else (2, 1))).ravel()
    draw = _scatter if two else _parallel
    for axes, split in zip(panels, TITLES, strict=True):
        draw(axes, comparison, shown, split)
        axes.set_title(TITLES[split], fontsize=FONT_SIZE + 1, color=INK)
    add_legend(figure, "outside upper center", per_row=3)
    if keys:
        figure.supxlabel(f"swept: {', '.join(keys)}", fontsize=FONT_SIZE, color=INK)
    return figure


def _scatter(axes: Axes, comparison: Comparison, names: Sequence[str], split: str) -> None:
    quiet_axes(axes)
    (x_task, y_task), front = comparison.primary, _members(comparison)
    x, y = (comparison.scores(split, task) for task in (x_task, y_task))
    x_error, y_error = (_deviations(comparison, split, task) for task in (x_task, y_task))
    others = [i for i in range(len(x)) if i not in front]
    for chosen, colour, label in ((others, OTHERS, "dominated"), (front, FRONT, "Pareto front")):
        axes.errorbar(
            [x[i] for i in chosen],
            [y[i] for i in chosen],
            xerr=[x_error[i] for i in chosen],
            yerr=[y_error[i] for i in chosen],
            fmt="o",
            color=colour,
            elinewidth=0.6,
            markersize=5,
            label=label if chosen else None,
        )
    ordered = sorted(front, key=lambda i: x[i])
    if split == SELECTED_BY:
        axes.plot([x[i] for i in ordered], [y[i] for i in ordered], color=FRONT, linewidth=0.8)
    else:
        _baseline_lines(axes, comparison, x_task, y_task)
    axes.margins(x=0.12, y=0.12)
    for i in ordered[:MOST_NAMES]:
        _name(axes, names[i], (x[i], y[i]), left=x[i] > (min(x) + max(x)) / 2)
    axes.set_xlabel(_title(comparison, x_task), fontsize=FONT_SIZE)
    axes.set_ylabel(_title(comparison, y_task), fontsize=FONT_SIZE)
    if not comparison.rises(x_task):
        axes.invert_xaxis()
    if not comparison.rises(y_task):
        axes.invert_yaxis()


def _name(axes: Axes, name: str, at: tuple[float, float], left: bool) -> None:
    """Write the name of a variant beside it, towards the middle, where there is room."""
    axes.annotate(
        name,
        at,
        xytext=(-4 if left else 4, 4),
        textcoords="offset points",
        ha="right" if left else "left",
        fontsize=FONT_SIZE - 2,
        color=INK,
    )


def _baseline_lines(axes: Axes, comparison: Comparison, x_task: str, y_task: str) -> None:
    x, y = comparison.baseline(x_task), comparison.baseline(y_task)
    style = {"color": BASELINE, "linestyle": "--", "linewidth": 1.0, "zorder": 1}
    if x is not None:
        axes.axvline(x, label="baseline", **style)
    if y is not None:
        axes.axhline(y, label=None if x is not None else "baseline", **style)


def _parallel(axes: Axes, comparison: Comparison, names: Sequence[str], split: str) -> None:
    quiet_axes(axes)
    tasks, front = list(comparison.primary), _members(comparison)
    columns = [comparison.scores(split, task) for task in tasks]
    of_test = split != SELECTED_BY
    baselines = [comparison.baseline(task) if of_test else None for task in tasks]
    ends = [
        _ends([*column, *([] if baseline is None else [baseline])], comparison.rises(task))
        for task, column, baseline in zip(tasks, columns, baselines, strict=True)
    ]
    positions = range(len(tasks))
    for i, name in enumerate(names):
        member = i in front
        place = front.index(i) if member else MOST_NAMES  # beyond the legend
        axes.plot(
            positions,
            [_scaled(column[i], end) for column, end in zip(columns, ends, strict=True)],
            color=PALETTE[place % len(PALETTE)] if member else OTHERS,
            linestyle=":" if member and place >= len(PALETTE) else "-",
            linewidth=1.8 if member else 0.7,
            alpha=1.0 if member else 0.5,
            marker="o" if member else None,
            markersize=3,
            label=legend_label(name) if place < MOST_NAMES else None,
        )
    found = [(i, b) for i, b in enumerate(baselines) if b is not None]
    axes.plot(
        [i for i, _ in found],
        [_scaled(baseline, ends[i]) for i, baseline in found],
        color=INK,
        linestyle="--",
        linewidth=1.2,
        label="baseline" if found else None,
    )
    axes.set_xticks(
        positions,
        [
            f"{_title(comparison, task)}\n{low:.3g} to {high:.3g}"
            for task, (low, high) in zip(tasks, ends, strict=True)
        ],
    )
    axes.set_yticks([0, 1], ["worst", "best"])


def _members(comparison: Comparison) -> list[int]:
    assert comparison.front is not None, "drawn are comparisons with a front"
    return list(comparison.front.members)


def _deviations(comparison: Comparison, split: str, task: str) -> list[float]:
    name = f"{split}/{task}/{comparison.primary[task]}"
    return [group.scores[name].std or 0.0 for group in comparison.groups]


def _ends(values: Sequence[float], rises: bool) -> tuple[float, float]:
    """Return the worst and the best of some scores."""
    return (min(values), max(values)) if rises else (max(values), min(values))


def _scaled(value: float, ends: tuple[float, float]) -> float:
    worst, best = ends
    return 0.5 if worst == best else (value - worst) / (best - worst)


def _title(comparison: Comparison, task: str) -> str:
    return f"{task} {comparison.primary[task]}".replace("_", " ")
