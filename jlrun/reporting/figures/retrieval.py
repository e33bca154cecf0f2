"""Captions, and the images that a shared space finds for them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from jlrun.reporting.figures.canvas import plain_figure
from jlrun.reporting.figures.style import FAINT, FONT_SIZE, INK, PALETTE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
from collections.abc import Iterator, Mapping

import torch

from jlrun.data.specs import ImageSpec, Spec, TextSpec
from jlrun.data.streams import Stream
from jlrun.evaluation.retrieval.embedded import Embedded
from jlrun.evaluation.retrieval.ranks import nearest
from jlrun.reporting.figures.contents import contents_at

RIGHT = PALETTE[2]
CAPTION_LENGTH = 80


@dataclass(frozen=True)
class Query:
    """A caption and what was found for it.

    Attributes:
        caption: the text.
        images: the nearest images ``(C, H, W)``, floats in [0, 1], the nearest first.
        right: for each, whether it is a right answer.
    """

    caption: str
    images: Sequence[Tensor]
    right: Sequence[bool]


def retrieval(queries: Sequence[Query], title: str = "") -> Figure:
    """Draw a row for each caption with its images; right ones have a thick frame.

    Args:
        queries: at least one, each with at least one image.
        title: stands above.
    """
    count = max(len(query.images) for query in queries)
    figure = plain_figure(
        figsize=(1.05 * count + 2.6, 1.1 * len(queries) + (0.4 if title else 0.1)),
        dpi=120,
        layout="constrained",
    )
    cells = figure.subplots(
        len(queries), count + 1, squeeze=False, gridspec_kw={"width_ratios": [2.3, *[1.0] * count]}
    )
    for row, query in zip(cells, queries, strict=True):
        _write(row[0], query.caption)
        for cell in row[1 + len(query.images) :]:
            cell.set_visible(False)
        for cell, image, right in zip(row[1:], query.images, query.right, strict=False):
            _show(cell, image, right)
    if title:
        figure.suptitle(title, fontsize=FONT_SIZE + 2)
    return figure


def _write(axes: Axes, caption: str) -> None:
    axes.axis("off")
    short = textwrap.shorten(caption, CAPTION_LENGTH, placeholder=" …")
    text = "\n".join(textwrap.wrap(short, width=24))
    axes.text(1, 0.5, text, ha="right", va="center", fontsize=FONT_SIZE - 0.5, color=INK)


def _show(axes: Axes, image: Tensor, right: bool) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    channels = 3 if image.shape[0] >= 3 else 1
    shown = image[:channels].cpu().clamp(0, 1).permute(1, 2, 0).numpy()
    axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    for spine in axes.spines.values():
        spine.set_color(RIGHT if right else FAINT)
        spine.set_linewidth(3.0 if right else 0.8)


NUM_QUERIES = 8
NUM_IMAGES = 5


def queries_of(
    rows: Embedded, stream: Stream, specs: Mapping[str, Spec]
) -> Iterator[tuple[str, list[Query]]]:
    """Yield ``<text> to <image>`` and queries, evenly spaced, for each pair of such modalities.

    Args:
        rows: of the split in a space.
        stream: the same rows in the same order.
        specs: modality -> what the model takes.
    """
    images = [m for m in rows.modalities if isinstance(specs.get(m), ImageSpec)]
    texts = [m for m in rows.modalities if isinstance(specs.get(m), TextSpec)]
    for text in texts:
        for image in images:
            both = (rows.present[text] & rows.present[image]).nonzero().flatten()
            if len(both) >= 2:
                found = _queries(rows, both, (text, image), stream, specs)
                yield f"{text} to {image}", found


def _queries(
    rows: Embedded,
    both: Tensor,
    pair: tuple[str, str],
    stream: Stream,
    specs: Mapping[str, Spec],
) -> list[Query]:
    text, image = pair
    count = min(NUM_QUERIES, len(both))
    chosen = torch.linspace(0, len(both) - 1, count).round().long()
    captioned, pictured = (rows.vectors[m][both] for m in pair)
    found, right = nearest(captioned, pictured, rows.keys[both], chosen, NUM_IMAGES)
    captions = contents_at(stream, both[chosen], text, specs[text])
    pictures = contents_at(stream, both[found.flatten()], image, specs[image])
    return [
        Query(
            caption=str(captions[i]),
            images=[p for p in pictures[i * width : (i + 1) * width] if isinstance(p, Tensor)],
            right=right[i].tolist(),
        )
        for i, width in enumerate([found.shape[1]] * count)
    ]
