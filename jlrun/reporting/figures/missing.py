"""Scores of a model where modalities are missing: lost at random, and in every subset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

from jlrun.reporting.figures.canvas import plain_figure
from jlrun.reporting.figures.style import FONT_SIZE, INK, PALETTE, quiet_axes
from jlrun.wording import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_LETTERS = 30  # of the name of a subset
ROW = 0.24  # height of a bar and its name, in inches
NOTE = "in (nearly) every training row: rows without it are strange to the model"


def missing(found: Mapping[str, Any]) -> Figure:
    """Draw a column per task: the score against the rate at which rows lose modalities, with its
    standard deviation over draws, and under it a bar for each subset.

    Args:
        found: the ``missing`` of a result.
    """
    tasks = found["summary"]
    lower = 0.5 + ROW * len(found["subsets"])
    size = (0.6 + 3.4 * len(tasks), 2.9 + lower)
    figure = plain_figure(figsize=size, dpi=120, layout="constrained")
    axes = figure.subplots(2, len(tasks), squeeze=False, height_ratios=(2.4, lower))
    for column, (task, summary) in enumerate(tasks.items()):
        upper, under = axes[:, column]
        upper.set_title(task, fontsize=FONT_SIZE + 1)
        _draw_rates(upper, found, task, summary["metric"])
        _draw_subsets(under, found, task, summary["metric"], named=column == 0)
    strange = found.get("never_missing", ())
    if strange:
        _note(figure, f"{', '.join(strange)}: {NOTE}")
    return figure


def _note(figure: Figure, text: str) -> None:
    """Write a note under a figure, in lines as wide as that."""
    width = int(figure.get_figwidth() * 15)
    figure.supxlabel(fill(text, width), fontsize=FONT_SIZE - 2, color=INK, parse_math=False)


def _draw_rates(axes: Axes, found: Mapping[str, Any], task: str, metric: str) -> None:
    quiet_axes(axes)
    points = [p for p in found["rates"] if p["test"].get(task, {}).get(metric) is not None]
    axes.errorbar(
        [100 * point["rate"] for point in points],
        [point["test"][task][metric] for point in points],
        yerr=[point["std"][task][metric] for point in points],
        color=PALETTE[0],
        marker="o",
        markersize=4,
        linewidth=1.6,
        elinewidth=1.0,
        capsize=2,
    )
    axes.set_xlabel("modalities lost at random, %", fontsize=FONT_SIZE)
    axes.set_ylabel(f"test {metric}".replace("_", " "), fontsize=FONT_SIZE)


def _draw_subsets(
    axes: Axes, found: Mapping[str, Any], task: str, metric: str, named: bool
) -> None:
    quiet_axes(axes)
    names = list(found["subsets"])
    scores = [found["subsets"][name].get(task, {}).get(metric) for name in names]
    places = [place for place, score in enumerate(scores) if score is not None]
    shown = [scores[place] for place in places]
    # The last one is the whole model.
    colours = [PALETTE[1] if place == len(names) - 1 else PALETTE[0] for place in places]
    axes.barh(places, shown, color=colours, height=0.7)
    _write_values(axes, places, [f"{score:.3f}" for score in shown])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_yticks(range(len(names)), left_out(names) if named else [""] * len(names))
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(f"test {metric}, modalities left out".replace("_", " "), fontsize=FONT_SIZE)
    axes.axvline(0, color=INK, linewidth=0.6)


def _write_values(axes: Axes, places: Sequence[float], texts: Sequence[str]) -> None:
    """Write numbers in a column at the right: at the end of a bar below 0 they would lie on names
    of bars."""
    for place, text in zip(places, texts, strict=True):
        axes.text(
            1.02,
            place,
            text,
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=FONT_SIZE - 2,
            color=INK,
        )


def left_out(subsets: Sequence[str]) -> list[str]:
    """Return a label for each subset, by what is left out of the largest one; no two are equal.

    Args:
        subsets: ``a``, ``b``, ``a+b``, …, the whole last.
    """
    whole = subsets[-1].split("+")
    labels = [_without(whole, subset.split("+")) for subset in subsets]
    for length in (MOST_LETTERS, 2 * MOST_LETTERS):
        short = [shorten(label, length) for label in labels]
        if len(set(short)) == len(labels):
            return short
    return labels


def _without(whole: Sequence[str], kept: Sequence[str]) -> str:
    lost = ", ".join(name for name in whole if name not in kept)
    return f"without {lost}" if lost else "nothing left out"


KINDS = {"shapley": "Shapley value", "ablation": "loss without it"}
BAR = 0.36


def contribution(found: Mapping[str, Any]) -> Figure:
    """Draw a panel per task with two bars per modality: its Shapley value, and what its absence
    costs.

    Args:
        found: the ``contribution`` of a result, of one task or more.
    """
    count = max(len(shares["shapley"]) for shares in found.values())
    size = (0.8 + 3.2 * len(found), 1.5 + 0.55 * count)
    figure = plain_figure(figsize=size, dpi=120, layout="constrained")
    panels = figure.subplots(1, len(found), squeeze=False)[0]
    for column, (axes, (task, shares)) in enumerate(zip(panels, found.items(), strict=True)):
        _draw(axes, shares, named=column == 0)
        axes.set_title(task, fontsize=FONT_SIZE + 1)
    if any(shares.get("never_missing") for shares in found.values()):
        _note(figure, f"* {NOTE}")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside upper center",
        ncols=len(KINDS),
        frameon=False,
        fontsize=FONT_SIZE - 1,
        labelcolor=INK,
    )
    return figure


def _draw(axes: Axes, shares: Mapping[str, Any], named: bool) -> None:
    quiet_axes(axes)
    names = list(shares["shapley"])
    for i, (kind, label) in enumerate(KINDS.items()):
        values = [shares[kind][name] for name in names]
        places = [place + (i - 0.5) * BAR for place in range(len(names))]
        axes.barh(places, values, height=BAR, color=PALETTE[i], label=label)
        _write_values(axes, places, [f"{value:+.3f}" for value in values])
    axes.set_ylim(len(names) - 0.45, -0.55)
    strange = shares.get("never_missing", ())
    marked = [f"{name} *" if name in strange else name for name in names]
    axes.set_yticks(range(len(names)), marked if named else [""] * len(names))
    axes.grid(visible=False, axis="y")
    axes.axvline(0, color=INK, linewidth=0.6)
    metric = shares["metric"].replace("_", " ")
    axes.set_xlabel(
        f"test {metric}: {shares['none']:.3f} to {shares['all']:.3f}", fontsize=FONT_SIZE
    )
