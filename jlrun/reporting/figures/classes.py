"""Figures of the classes of a task: confusion matrix, and precision, recall and F1 of each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from jlrun.reporting.figures.canvas import plain_figure
from jlrun.reporting.figures.style import FAINT, FONT_SIZE, INK, PALETTE, quiet_axes
from jlrun.wording import shorten

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor
COUNTED_CLASSES = 20  # up to here each cell shows its count
NAMED_CLASSES = 40  # up to here each class shows its name
NAME_LENGTH = 14


def confusion(matrix: Tensor, classes: Sequence[str], title: str) -> Figure:
    """Draw a confusion matrix: colour is the share of the true class, numbers are counts.

    Up to 40 classes, the recall of each and its number of rows stand at the right; with more there
    is a bar for the colour.

    Args:
        matrix: ``(C, C)`` counts; row: true class, column: predicted class.
        classes: C names.
        title: what was predicted; the accuracy is added.
    """
    counts = matrix.cpu().long().numpy()
    rows = counts.sum(axis=1)
    share = counts / rows[:, None].clip(min=1)
    size = min(9.0, 2.4 + 0.38 * len(classes))
    figure = plain_figure(figsize=(size + 0.9, size), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    _name_classes(axes, classes)
    if len(classes) <= COUNTED_CLASSES:
        _write_counts(axes, counts, share)
    accuracy = counts.trace() / max(1, counts.sum())
    axes.set_title(f"{title}: accuracy {accuracy:.3f}", fontsize=FONT_SIZE + 2, color=INK)
    axes.set_ylabel("true", fontsize=FONT_SIZE)
    axes.set_xlabel("\n".join(["predicted", *_worst(counts, classes)]), fontsize=FONT_SIZE)
    for spine in axes.spines.values():
        spine.set_color(FAINT)
    if len(classes) <= NAMED_CLASSES:
        _write_recall(axes, counts.diagonal(), rows)
        return figure
    bar = figure.colorbar(image, ax=axes, shrink=0.7, aspect=30)
    bar.set_label("share of the true class", fontsize=FONT_SIZE)
    bar.ax.tick_params(labelsize=FONT_SIZE - 1)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    return figure


def _write_recall(axes: Axes, right: np.ndarray, rows: np.ndarray) -> None:
    """Write the recall of each true class, and in how many rows it occurs, right of its row."""
    texts = [
        f"{hits / count:.2f} of {count:,}" if count else "no rows"
        for hits, count in zip(right.tolist(), rows.tolist(), strict=True)
    ]
    margin = axes.secondary_yaxis("right")
    margin.set_yticks(range(len(texts)), texts)
    margin.tick_params(labelsize=FONT_SIZE - 1, length=0, colors=INK)
    margin.spines["right"].set_visible(False)
    margin.set_ylabel("recall, rows of the class", fontsize=FONT_SIZE)


def _name_classes(axes: Axes, classes: Sequence[str]) -> None:
    axes.tick_params(labelsize=FONT_SIZE - 1, length=0)
    if len(classes) > NAMED_CLASSES:  # leave matplotlib's own few indices
        return
    names = [shorten(name, NAME_LENGTH) for name in classes]
    ticks = range(len(names))
    long = max(map(len, names)) > 5 or len(names) > COUNTED_CLASSES
    axes.set_xticks(ticks, names, rotation=90 if long else 0)
    axes.set_yticks(ticks, names)


def _write_counts(axes: Axes, counts: np.ndarray, share: np.ndarray) -> None:
    for (row, column), count in _nonzero(counts):
        axes.text(
            column,
            row,
            f"{count:,}",
            ha="center",
            va="center",
            fontsize=FONT_SIZE - (1 if count < 1000 else 3),
            color="white" if share[row, column] > 0.55 else INK,
        )


def _worst(counts: np.ndarray, classes: Sequence[str], num: int = 3) -> list[str]:
    """Name the most frequent confusions where there are too many cells to find them."""
    if len(classes) <= COUNTED_CLASSES:
        return []
    mistakes = [(count, row, col) for (row, col), count in _nonzero(counts) if row != col]
    worst = sorted(mistakes, key=lambda mistake: (-mistake[0], *mistake[1:]))[:num]
    names = [shorten(name, 2 * NAME_LENGTH) for name in classes]
    texts = [f"{names[row]} as {names[column]} ({count:,})" for count, row, column in worst]
    return ["most often confused:", *texts] if texts else []


def _nonzero(counts: np.ndarray) -> list[tuple[tuple[int, int], int]]:
    return [
        ((int(row), int(column)), int(counts[row, column]))
        for row, column in zip(*counts.nonzero(), strict=True)
    ]


SHOWN = 30
TABLE_NAME_LENGTH = 20
POINTS = {"precision": "<", "recall": ">"}


def per_class(found: Mapping[str, Mapping[str, float]], title: str) -> Figure:
    """Draw a bar for the F1 of each class, with its precision and recall on it; of many classes
    those with the smallest F1.

    Args:
        found: class -> ``precision``, ``recall``, ``f1``, and ``rows``, in which it occurs.
        title: of the figure.
    """
    names = list(found)
    if len(names) > SHOWN:
        names = sorted(names, key=lambda name: _known(found[name]["f1"]))[:SHOWN]
        title += f", {SHOWN} of {len(found)} classes with the smallest F1"
    size = (6.4, 1.3 + 0.26 * len(names))
    figure = plain_figure(figsize=size, dpi=120, layout="constrained")
    axes = figure.add_subplot()
    quiet_axes(axes)
    axes.grid(visible=False, axis="y")
    places = range(len(names))
    of_measure = {
        measure: [_known(found[name][measure], math.nan) for name in names]
        for measure in (*POINTS, "f1")
    }
    axes.barh(places, of_measure["f1"], height=0.62, color=PALETTE[5], label="F1")
    for colour, (measure, marker) in zip((PALETTE[0], PALETTE[1]), POINTS.items(), strict=True):
        axes.plot(of_measure[measure], places, marker, color=colour, label=measure, markersize=5)
    for place, value in zip(places, of_measure["f1"], strict=True):
        text = "" if math.isnan(value) else f"{value:.2f}"
        axes.text(1.05, place, text, va="center", fontsize=FONT_SIZE - 1, color=INK)
    rows = [f"{shorten(name, TABLE_NAME_LENGTH)} ({int(found[name]['rows']):,})" for name in names]
    axes.set_yticks(places, rows)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, 1.03)
    axes.set_xlabel("class (rows that have it), and its F1 at the right", fontsize=FONT_SIZE)
    axes.set_title(title, fontsize=FONT_SIZE + 2, color=INK)
    figure.legend(
        loc="outside lower center",
        ncols=3,
        frameon=False,
        fontsize=FONT_SIZE - 1,
        labelcolor=INK,
    )
    return figure


def _known(value: float | None, otherwise: float = 2.0) -> float:
    """Return a measure, ``otherwise`` where it is undefined: None in files, NaN elsewhere."""
    return otherwise if value is None or math.isnan(value) else value
