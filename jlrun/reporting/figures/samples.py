"""Inputs as people read them, with the model's predictions: a sample, and the worst mistakes."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unicodedata import east_asian_width

import torch
from torch import Tensor

from jlrun.reporting.figures.canvas import plain_figure
from jlrun.reporting.figures.style import FAINT, FONT_SIZE, INK, PALETTE, WRONG
from jlrun.wording import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME_LENGTH = 17
LINE, LETTERS = 42, 200  # of a text
COLUMNS, TEXT_COLUMNS = 8, 4

# In inches. The layout is made by hand: Matplotlib's takes longer than all the rest of a picture.
SIDE = 1.22  # of a picture
TEXT_WIDTH, LINE_HEIGHT = 2.52, 0.135
TITLE_HEIGHT = 0.29
CAPTION_HEIGHT = 0.34
GAP = 0.08
CAPTION_SIZE = FONT_SIZE - 1.5
# Of letters of that size, the widest of their kind
NARROW, CAPITAL, WIDE = 0.067, 0.09, 0.11


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


@dataclass(frozen=True)
class Box:
    """Place of an input, in inches from the upper left corner."""

    left: float
    top: float
    width: float
    height: float

    def inner(self, width: float, height: float) -> Box:
        """Return the largest box of this shape, in the middle of this one."""
        scale = min(self.width / width, self.height / height)
        width, height = width * scale, height * scale
        left, top = self.left + (self.width - width) / 2, self.top + (self.height - height) / 2
        return Box(left, top, width, height)


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
    width, height, columns = _boxes([*rows, *worst])
    columns = min(columns, max(len(shown) for _, shown in panels))
    below = height + CAPTION_HEIGHT + GAP
    heights = [
        below * -(-len(shown) // columns) + (TITLE_HEIGHT if heading else 0)
        for heading, shown in panels
    ]
    size = ((width + GAP) * columns + GAP, sum(heights) + GAP)
    figure = plain_figure(figsize=size, dpi=120)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    top = GAP
    for (heading, shown), taken in zip(panels, heights, strict=True):
        if heading:
            _write(axes, GAP, top, heading, fontsize=FONT_SIZE + 1, color=INK)
        first = top + (TITLE_HEIGHT if heading else 0)
        for i, sample in enumerate(shown):
            row, column = divmod(i, columns)
            left = GAP + (width + GAP) * column
            _draw_sample(axes, Box(left, first + below * row, width, height), sample)
        top += taken
    axes.set(xlim=(0, size[0]), ylim=(size[1], 0), aspect="auto")
    return figure


def _boxes(rows: Sequence[Sample]) -> tuple[float, float, int]:
    """Return width and height of an input, and how many are in a row: texts need more room."""
    texts = [_wrapped(row.content) for row in rows if isinstance(row.content, str)]
    captions = max(_inches(line) for row in rows for line in _caption(row).split("\n"))
    if not texts:
        return max(SIDE, captions), SIDE, COLUMNS
    lines = max(text.count("\n") + 1 for text in texts)
    height = max(SIDE if len(texts) < len(rows) else 0.0, 0.2 + LINE_HEIGHT * lines)
    return max(TEXT_WIDTH, captions), height, TEXT_COLUMNS


def _inches(line: str) -> float:
    """Return at least the width of a line of a caption."""
    wide = sum(east_asian_width(letter) in "WF" for letter in line)
    capitals = sum(letter.isupper() or letter in "mw%@" for letter in line)
    return NARROW * (len(line) - wide - capitals) + CAPITAL * capitals + WIDE * wide


def _draw_sample(axes: Axes, box: Box, sample: Sample) -> None:
    """Draw an input and its caption; what is wrong has a cross, a colour and a thick frame."""
    from matplotlib.patches import Rectangle

    wrong = sample.correct is not None and not sample.correct
    inner = _draw_content(axes, box, sample.content)
    frame = Rectangle(
        (inner.left, inner.top),
        inner.width,
        inner.height,
        fill=False,
        edgecolor=WRONG if wrong else FAINT,
        linewidth=2.0 if wrong else 0.8,
        zorder=2.5,
    )
    axes.add_patch(frame)
    _write(
        axes,
        box.left + box.width / 2,
        inner.top + inner.height + 0.05,
        _caption(sample),
        ha="center",
        fontsize=CAPTION_SIZE,
        color=WRONG if wrong else INK,
    )


def _draw_content(axes: Axes, box: Box, content: Tensor | str) -> Box:
    """Draw an input; return the box it takes."""
    if isinstance(content, str):
        text = _wrapped(content)
        _write(axes, box.left + 0.05, box.top + 0.04, text, fontsize=FONT_SIZE - 2, color=INK)
        return box
    if content.ndim < 3:
        inner = box.inner(1, 1)
        _draw_curves(axes, inner, content.cpu().double())
        return inner
    channels = 3 if content.shape[0] >= 3 else 1
    image = content[:channels].cpu().clamp(0, 1).permute(1, 2, 0).numpy()
    inner = box.inner(image.shape[1], image.shape[0])
    extent = (inner.left, inner.left + inner.width, inner.top + inner.height, inner.top)
    gray = {"cmap": "gray", "vmin": 0, "vmax": 1}
    axes.imshow(image, extent=extent, interpolation="nearest", **gray)
    return inner


def _draw_curves(axes: Axes, box: Box, values: Tensor) -> None:
    """Draw a waveform ``(L,)``, or the channels of a series ``(T, C)``, from edge to edge."""
    known = values[values.isfinite()]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
    if low == high:
        low, high = low - 1, high + 1
    x = box.left + box.width * torch.linspace(0.04, 0.96, len(values)).numpy()
    y = box.top + box.height * (0.96 - 0.92 * (values - low) / (high - low)).numpy()
    width = 0.4 if y.ndim == 1 else 0.8
    for i, channel in enumerate(y[None] if y.ndim == 1 else y.T):
        axes.plot(x, channel, color=PALETTE[i % len(PALETTE)], linewidth=width)


def _write(axes: Axes, x: float, y: float, text: str, **options: Any) -> None:
    axes.text(x, y, text, va="top", **options)


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


def _caption(sample: Sample) -> str:
    truth = "" if sample.correct else f"true: {shorten(sample.true, NAME_LENGTH)}"
    return f"{_prediction(sample)}\n{truth}"


def _prediction(sample: Sample) -> str:
    sign = {True: "✓ ", False: "✗ ", None: ""}[sample.correct]
    probability = "" if sample.probability is None else f" ({sample.probability:.2f})"
    return f"{sign}{shorten(sample.predicted, NAME_LENGTH - 3)}{probability}"
