"""A few inputs as people read them, with the model's predictions."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from jlrun.reporting.figures.canvas import plain_figure
from jlrun.reporting.figures.style import FAINT, FONT_SIZE, INK, PALETTE, WRONG, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
from math import isnan

import torch

from jlrun.data.reading.texts import text_of
from jlrun.data.specs import ImageSpec, SeriesSpec, Spec, TabularSpec, TextSpec

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


def content_of(x: Tensor, spec: Spec) -> Tensor | str:
    """Return one input of a model: an image in [0, 1], a text, the cells of a row, or what it is.

    Series are in the units of their data.
    """
    match spec:
        case ImageSpec(mean=mean, std=std):
            shape = (-1, 1, 1)
            return (x * torch.tensor(std).view(shape) + torch.tensor(mean).view(shape)).clamp(0, 1)
        case TextSpec():
            return text_of(x, spec)
        case TabularSpec():
            return _cells(x, spec)
        case SeriesSpec(mean=mean, std=std):
            return x * torch.tensor(std) + torch.tensor(mean)
    return x


def _cells(x: Tensor, spec: TabularSpec) -> str:
    """Return the cells of a row that are not missing, as ``name: value; …``."""
    columns = zip(spec.numbers, x.tolist(), spec.mean, spec.std, strict=False)
    known = [f"{name}: {v * std + mean:.4g}" for name, v, mean, std in columns if not isnan(v)]
    levels = x[len(spec.numbers) :].long().tolist()
    for name, names, level in zip(spec.categories, spec.levels, levels, strict=True):
        known += [f"{name}: {names[level - 1]}"] if level else []
    return "; ".join(known) or "nothing"
