"""A few inputs with the model's predictions."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from jlrun.reporting.figures.plain import plain_figure
from jlrun.reporting.figures.style import FAINT, FONT_SIZE, INK, PALETTE, WRONG, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CELLS_PER_ROW = 8
NAME_LENGTH = 15
TEXT_LENGTH = 90


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


def samples(rows: Sequence[Sample], title: str = "") -> Figure:
    """Draw a grid of inputs, each with prediction and probability; wrong ones name the truth too.

    Args:
        rows: at least one.
        title: stands above the grid.
    """
    columns = min(CELLS_PER_ROW, len(rows))
    num_rows = -(-len(rows) // columns)
    figure = plain_figure(
        figsize=(1.35 * columns + 0.2, 1.75 * num_rows + (0.4 if title else 0.1)),
        dpi=120,
        layout="constrained",
    )
    axes = figure.subplots(num_rows, columns, squeeze=False).ravel()
    for cell in axes[len(rows) :]:
        cell.set_visible(False)
    for cell, sample in zip(axes, rows, strict=False):
        _draw_content(cell, sample.content)
        _draw_caption(cell, sample)
    if title:
        figure.suptitle(title, fontsize=FONT_SIZE + 2)
    return figure


def _draw_content(axes: Axes, content: Tensor | str) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    if isinstance(content, str):
        text = "\n".join(
            textwrap.wrap(textwrap.shorten(content, TEXT_LENGTH, placeholder=" …"), width=16)
        )
        axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=FONT_SIZE - 2.5, color=INK)
        axes.set_box_aspect(1)
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
