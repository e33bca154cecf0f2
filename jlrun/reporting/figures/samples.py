"""Inputs as people read them, with the model's predictions: a sample, and the worst mistakes."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from jlrun.reporting.figures.canvas import plain_figure
from jlrun.reporting.figures.style import FAINT, FONT_SIZE, INK, PALETTE, WRONG
from jlrun.wording import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

NAME_LENGTH = 17
TITLE_HEIGHT = 0.3


COLUMNS, CELL = 8, (1.3, 1.75)  # of pictures, in inches
TEXT_COLUMNS, TEXT_WIDTH, LINE_HEIGHT = 4, 2.6, 0.135
LINE, LETTERS = 42, 200  # of a text


@dataclass(frozen=True)
class Sample:
    """A row of a test split and its prediction.

    Attributes:
        content: an image ``(C, H, W)`` of floats in [0, 1], a waveform ``(L,)``, a series
            ``(T, C)``, or a text.
        true: the target, as text.
        predicted: the prediction, as text.
        probability: of the prediction; None where there is none, as in regression.
        correct: whether it is right; None where that is no question of yes or no.
    """

    content: Tensor | str
    true: str
    predicted: str
    probability: float | None = None
    correct: bool | None = None


def samples(
    rows: Sequence[Sample], title: str = "", worst: Sequence[Sample] = (), worst_title: str = ""
) -> Figure:
    """Draw a grid of inputs, each with prediction and probability; wrong ones name the truth too.

    Args:
        rows: at least one.
        title: stands above them.
        worst: rows of a second panel; none: no such panel.
        worst_title: stands above that.
    """
    panels = [(title, rows), *([(worst_title, worst)] if worst else [])]
    width, height, columns = _cells([*rows, *worst])
    columns = min(columns, max(len(shown) for _, shown in panels))
    heights = [
        height * -(-len(shown) // columns) + (TITLE_HEIGHT if heading else 0)
        for heading, shown in panels
    ]
    size = (width * columns + 0.2, sum(heights) + 0.1)
    figure = plain_figure(figsize=size, dpi=120, layout="constrained")
    parts = figure.subfigures(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for part, (heading, shown) in zip(parts, panels, strict=True):
        part.set_facecolor("none")
        _draw_panel(part, shown, columns)
        if heading:
            part.suptitle(heading, fontsize=FONT_SIZE + 1, color=INK, x=0.01, ha="left")
    return figure


def _cells(rows: Sequence[Sample]) -> tuple[float, float, int]:
    """Return width and height of a cell, and how many are in a row: texts need more room."""
    texts = [_wrapped(row.content) for row in rows if isinstance(row.content, str)]
    if not texts:
        return *CELL, COLUMNS
    lines = max(text.count("\n") + 1 for text in texts)
    pictures = len(texts) < len(rows)
    height = max(CELL[1] if pictures else 0.0, 0.65 + LINE_HEIGHT * lines)
    return TEXT_WIDTH, height, TEXT_COLUMNS


def _draw_panel(part: SubFigure, rows: Sequence[Sample], columns: int) -> None:
    axes = part.subplots(-(-len(rows) // columns), columns, squeeze=False).ravel()
    for cell in axes[len(rows) :]:
        cell.set_visible(False)
    for cell, sample in zip(axes, rows, strict=False):
        _draw_content(cell, sample.content)
        _draw_caption(cell, sample)


def _draw_content(axes: Axes, content: Tensor | str) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    if isinstance(content, str):
        axes.text(
            0.02,
            0.95,
            _wrapped(content),
            ha="left",
            va="top",
            fontsize=FONT_SIZE - 2,
            color=INK,
            transform=axes.transAxes,
        )
    elif content.ndim == 1:
        axes.plot(content.cpu().numpy(), color=PALETTE[0], linewidth=0.4)
        axes.set_box_aspect(1)
    elif content.ndim == 2:
        for i, channel in enumerate(content.cpu().numpy().T):
            axes.plot(channel, color=PALETTE[i % len(PALETTE)], linewidth=0.8)
        axes.set_box_aspect(1)
    else:
        channels = 3 if content.shape[0] >= 3 else 1
        image = content[:channels].cpu().clamp(0, 1).permute(1, 2, 0).numpy()
        axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")


def _wrapped(content: str) -> str:
    """Return the beginning of a text in lines; its own lines stay apart."""
    # What `textwrap` would look at is a page of a long text.
    lines = content[: 4 * LETTERS].splitlines()
    left, found = LETTERS, list[str]()
    for line in lines:
        if left > 0:
            short = textwrap.shorten(line, max(left, 8), placeholder=" …")
            found += textwrap.wrap(short, width=LINE)
            left -= len(short)
    return "\n".join(found)


def _draw_caption(axes: Axes, sample: Sample) -> None:
    """Write below the input; what is wrong has a cross, a colour and a thick frame."""
    wrong = sample.correct is not None and not sample.correct
    for spine in axes.spines.values():
        spine.set_color(WRONG if wrong else FAINT)
        spine.set_linewidth(2.0 if wrong else 0.8)
    lines = [_prediction(sample)]
    lines.append("" if sample.correct else f"true: {shorten(sample.true, NAME_LENGTH)}")
    axes.set_xlabel(
        "\n".join(lines), fontsize=FONT_SIZE - 1.5, color=WRONG if wrong else INK, labelpad=3
    )


def _prediction(sample: Sample) -> str:
    sign = {True: "✓ ", False: "✗ ", None: ""}[sample.correct]
    probability = "" if sample.probability is None else f" ({sample.probability:.2f})"
    return f"{sign}{shorten(sample.predicted, NAME_LENGTH - 3)}{probability}"
