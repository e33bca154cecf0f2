"""Retrieval examples of a shared space of images and texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.data.specs import ImageSpec, Spec, TextSpec
from jlrun.data.streams import Stream
from jlrun.evaluation.retrieval.embedded import Embedded
from jlrun.evaluation.retrieval.ranks import nearest
from jlrun.reporting.figures.contents import content_of
from jlrun.reporting.figures.retrieval import Query

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
    captions = _inputs(stream, both[chosen], text, specs[text])
    pictures = _inputs(stream, both[found.flatten()], image, specs[image])
    return [
        Query(
            caption=str(captions[i]),
            images=[p for p in pictures[i * width : (i + 1) * width] if isinstance(p, Tensor)],
            right=right[i].tolist(),
        )
        for i, width in enumerate([found.shape[1]] * count)
    ]


def _inputs(stream: Stream, positions: Tensor, modality: str, spec: Spec) -> Sequence[Tensor | str]:
    batches: list[Batch] = list(stream.take(positions).sweep())
    return [content_of(x.cpu(), spec) for batch in batches for x in batch.inputs[modality]]
