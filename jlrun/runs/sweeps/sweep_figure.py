"""The figure that fits a sweep: lines over one key, a heat map of two, parallel lines of more."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan, log
from typing import TYPE_CHECKING

from numpy import asarray

from jlrun.reporting.figures.canvas import legend_label, plain_figure
from jlrun.reporting.figures.style import FONT_SIZE, INK, PALETTE, quiet_axes
from jlrun.runs.sweeps.records import Group, key_of
from jlrun.runs.sweeps.report_tables import Table
from jlrun.wording import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LONGEST_NAME = 20
MOST_NAMES = 12  # of values along an axis
OBJECTIVE = "objective"


def sweep_figure(groups: Sequence[Group], table: Table) -> Figure | None:
    """Draw validation objectives by the swept keys; None if there is nothing to draw.

    One key: main test scores with their deviations, too.
    """
    scored = [(group, objective_of(group)) for group in groups]
    found = [(group, score) for group, score in scored if score is not None]
    if len(found) < 2 or not table.keys:
        return None
    kept, scores = [group for group, _ in found], [score for _, score in found]
    values = [[_value(group, key) for key in table.keys] for group in kept]
    figure = plain_figure(
        figsize=(max(6.0, 1.5 * len(table.keys) + 2), 4.2), dpi=120, layout="constrained"
    )
    axes = figure.subplots()
    if len(table.keys) == 1:
        _lines(axes, table.keys[0], [row[0] for row in values], kept, table.names)
    elif len(table.keys) == 2:
        _heat_map(figure, axes, table.keys, values, scores)
    else:
        _parallel(figure, axes, table.keys, values, scores)
    return figure


def objective_of(group: Group) -> float | None:
    """Return the mean of what selected epochs, which compares variants without the test split."""
    name = next(iter(group.scores), None)
    return None if name is None or not name.startswith(_VALIDATION) else group.scores[name].mean


_VALIDATION = ("val/", "validator/", "leave_one_domain_out/", "retrieval/val/")


def as_numbers(values: Sequence[str]) -> list[float] | None:
    """Return values as numbers; None if one is none."""
    try:
        return [float(value) for value in values]
    except ValueError:
        return None


def _lines(
    axes: Axes, key: str, values: Sequence[str], groups: Sequence[Group], names: Sequence[str]
) -> None:
    quiet_axes(axes)
    numbers = as_numbers(values)
    places = [float(i) for i in range(len(values))] if numbers is None else numbers
    order = sorted(range(len(places)), key=lambda i: places[i])
    tests = [name for name in names if name.startswith("test/")]
    for place, name in enumerate(tests):
        # Side by side over the name of a value, so that no interval hides another.
        shift = 0.0 if numbers is not None else 0.3 * ((place + 0.5) / len(tests) - 0.5)
        at = [place + shift for place in places]
        colour, label = PALETTE[place % len(PALETTE)], " ".join(name.split("/"))
        style = "o" if numbers is None else "o-"
        _series(axes, groups, name, order, at, style, colour, label)
        baseline = f"baseline{name.removeprefix('test')}"
        if numbers is not None and any(baseline in group.scores for group in groups):
            _series(axes, groups, baseline, order, at, "s--", colour, f"{label}: baseline")
    if numbers is None:
        axes.set_xticks(places, [shorten(value, LONGEST_NAME) for value in values], rotation=20)
        axes.set_xlim(-0.6, len(places) - 0.4)
    else:
        _scale(axes, key, places)
    axes.set_xlabel(_AXES.get(key.rpartition(".")[2], "{}").format(key), fontsize=FONT_SIZE)
    axes.legend(frameon=False, fontsize=FONT_SIZE - 1, labelcolor=INK)


def _series(
    axes: Axes,
    groups: Sequence[Group],
    name: str,
    order: Sequence[int],
    at: Sequence[float],
    style: str,
    colour: str,
    label: str,
) -> None:
    """Draw the means of a score with their deviations, of the variants that have it."""
    shown = [i for i in order if name in groups[i].scores]
    axes.errorbar(
        [at[i] for i in shown],
        [groups[i].scores[name].mean for i in shown],
        yerr=[groups[i].scores[name].std or 0.0 for i in shown],
        fmt=style,
        color=colour,
        markersize=4,
        markerfacecolor="white" if style.startswith("s") else colour,
        linewidth=1.2,
        elinewidth=0.7,
        label=legend_label(label),
    )


def _scale(axes: Axes, key: str, places: Sequence[float]) -> None:
    """Give numbers of several orders, and numbers of shots, a logarithmic scale."""
    few = key.rpartition(".")[2] == "shots" and len(places) <= MOST_NAMES
    if min(places) <= 0 or max(places) / min(places) < (2 if few else 50):
        return
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")  # the usual one writes formulas
    axes.xaxis.set_minor_formatter("")
    if few:
        axes.set_xticks(sorted(set(places)))
        axes.set_xticks([], minor=True)


# Last part of a key -> what it is.
_AXES = {"shots": "{}: labelled training rows of each class"}


def _heat_map(
    figure: Figure,
    axes: Axes,
    keys: Sequence[str],
    values: Sequence[Sequence[str]],
    scores: Sequence[float],
) -> None:
    rows, columns = (_distinct([row[axis] for row in values]) for axis in (0, 1))
    if len(rows) * len(columns) > 4 * len(scores):  # drawn at random: a map of holes
        _parallel(figure, axes, keys, values, scores)
        return
    cells = [[float("nan")] * len(columns) for _ in rows]
    for (row, column), score in zip(values, scores, strict=True):
        cells[rows.index(row)][columns.index(column)] = score
    image = axes.imshow(cells, cmap="viridis", aspect="auto")
    for i, line in enumerate(cells):
        for j, score in enumerate(line):
            if not isnan(score) and len(scores) <= MOST_NAMES**2:
                dark = score < min(scores) + 0.6 * (max(scores) - min(scores))
                colour = "white" if dark else "black"
                axes.text(j, i, f"{score:.3f}", ha="center", va="center", color=colour, fontsize=8)
    axes.set_yticks(range(len(rows)), [shorten(value, LONGEST_NAME) for value in rows])
    axes.set_xticks(range(len(columns)), [shorten(value, LONGEST_NAME) for value in columns])
    axes.set_ylabel(keys[0], fontsize=FONT_SIZE)
    axes.set_xlabel(keys[1], fontsize=FONT_SIZE)
    figure.colorbar(image, label="validation objective")


def _parallel(
    figure: Figure,
    axes: Axes,
    keys: Sequence[str],
    values: Sequence[Sequence[str]],
    scores: Sequence[float],
) -> None:
    """Draw a line per variant through its values, coloured by its score; the best on top."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    quiet_axes(axes)
    colours = ScalarMappable(Normalize(min(scores), max(scores)), "viridis")
    shades = colours.to_rgba(asarray(scores))
    columns = [[row[axis] for row in values] for axis in range(len(keys))]
    heights = [_heights(column) for column in columns] + [_scaled(list(scores))]
    for i in sorted(range(len(scores)), key=lambda i: scores[i]):
        axes.plot(
            range(len(heights)),
            [column[i] for column in heights],
            color=shades[i],
            linewidth=1.2,
        )
    titles = [*keys, "validation objective"]
    axes.set_xticks(range(len(titles)), [shorten(title, LONGEST_NAME) for title in titles])
    axes.set_yticks([])
    for axis, column in enumerate([*columns, [f"{score:.3f}" for score in scores]]):
        marks = sorted(set(zip(heights[axis], column, strict=True)))
        for height, value in marks if len(marks) <= MOST_NAMES else (marks[0], marks[-1]):
            axes.annotate(shorten(value, LONGEST_NAME), (axis, height), fontsize=7, color=INK)
    figure.colorbar(colours, ax=axes, label="validation objective")


def _heights(column: Sequence[str]) -> list[float]:
    numbers = as_numbers(column)
    if numbers is None:
        names = _distinct(column)
        return _scaled([float(names.index(value)) for value in column])
    if min(numbers) > 0 and max(numbers) / min(numbers) >= 50:
        numbers = [log(number) for number in numbers]
    return _scaled(numbers)


def _scaled(numbers: list[float]) -> list[float]:
    low, high = min(numbers), max(numbers)
    return [0.5 if low == high else (number - low) / (high - low) for number in numbers]


def _distinct(values: Sequence[str]) -> list[str]:
    numbers = as_numbers(values)
    found = list(dict.fromkeys(values))
    return found if numbers is None else sorted(found, key=float)


def _value(group: Group, key: str) -> str:
    found = [text.partition("=")[2] for text in group.overrides if key_of(text) == key]
    return found[0] if found else "default"
