"""Predicted numbers: against the true ones, and how far they are off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from jlrun.reporting.figures.canvas import plain_figure
from jlrun.reporting.figures.numbers import number_format
from jlrun.reporting.figures.style import FONT_SIZE, INK, PALETTE, quiet_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_POINTS = 2000  # evenly spaced rows; more would be one blot, and a vector file of megabytes
BINS = 30


def predicted_numbers(target: Tensor, predicted: Tensor, title: str) -> Figure:
    """Draw predicted over true numbers, and a histogram of their differences.

    Args:
        target: ``(N,)``, in the units of the data.
        predicted: ``(N,)``, NaN where there is none.
        title: of the figure.
    """
    known = target.isfinite() & predicted.isfinite()
    y, found = target[known].double(), predicted[known].double()
    figure = plain_figure(figsize=(8.4, 3.9), dpi=120, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    for axes in (left, right):
        quiet_axes(axes)
    _scatter(left, y, found)
    _residuals(right, found - y)
    figure.suptitle(title, fontsize=FONT_SIZE + 2, color=INK)
    return figure


def _scatter(axes: Axes, y: Tensor, found: Tensor) -> None:
    shown = torch.linspace(0, max(len(y) - 1, 0), min(len(y), MOST_POINTS)).round().long()
    both = torch.cat([y, found])
    if len(both):
        ends = (float(both.min()), float(both.max()))
        axes.plot(ends, ends, color=INK, linewidth=0.8, linestyle=":", label="predicted = true")
        axes.legend(frameon=False, fontsize=FONT_SIZE - 1, labelcolor=INK, loc="upper left")
    faint = 0.8 if len(shown) < 200 else 0.4
    axes.scatter(
        y[shown].numpy(), found[shown].numpy(), s=10, color=PALETTE[0], alpha=faint, linewidths=0
    )
    axes.set_xlabel("true", fontsize=FONT_SIZE)
    axes.set_ylabel("predicted", fontsize=FONT_SIZE)
    _plain_ticks(axes, "both")


def _residuals(axes: Axes, residual: Tensor) -> None:
    if len(residual):
        axes.hist(residual.numpy(), bins=BINS, color=PALETTE[0], edgecolor="white", linewidth=0.4)
        mean = float(residual.mean())
        axes.axvline(0, color=INK, linewidth=0.8, linestyle=":")
        axes.axvline(mean, color=PALETTE[1], linewidth=1.4, label=f"mean {_signed(residual, mean)}")
        axes.set_ylim(0, axes.get_ylim()[1] * 1.12)
        axes.legend(frameon=False, fontsize=FONT_SIZE - 1, labelcolor=INK, loc="upper right")
    axes.set_xlabel("predicted − true", fontsize=FONT_SIZE)
    axes.set_ylabel("test rows", fontsize=FONT_SIZE)
    _plain_ticks(axes, "x")


def _signed(residual: Tensor, mean: float) -> str:
    written = number_format(residual.tolist())(mean)
    return written if written.startswith("-") else f"+{written}"


def _plain_ticks(axes: Axes, which: str) -> None:
    """Write numbers at ticks as people do: few of them, without exponents, with separators."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    for axis in {"both": (axes.xaxis, axes.yaxis), "x": (axes.xaxis,)}[which]:
        axis.set_major_locator(MaxNLocator(5))
        axis.set_major_formatter(FuncFormatter(_tick))


def _tick(value: float, position: int | None = None) -> str:
    if value and not 1e-4 <= abs(value) < 1e10:
        return f"{value:.2g}"
    return f"{value:,.10g}"
