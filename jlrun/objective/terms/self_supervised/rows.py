"""Rows of self-supervised terms: views of a step, their features, and sample rows of a phase."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from jlrun.data.batch import Batch
from jlrun.data.streams import Stream
from jlrun.errors import UserError
from jlrun.models.joint_model import JointModel
from jlrun.objective.terms.base import PhaseStart, StepView, full_precision, no_loss, precise
from jlrun.objective.terms.self_supervised.projector import any_trunk


def rows_with_views(view: StepView) -> Mapping[str, Batch]:
    """Return stream -> its batch, of the streams that have two views of their rows."""
    return {name: batch for name, batch in view.batches.items() if len(batch.views) == 2}


def encode_views(view: StepView) -> Tensor | None:
    """Return the features ``(2 N, D)`` of both views of all rows: the first views, then the second.

    The rows are those of all streams, one after the other, and all go through the model at once.
    None if there are no rows with views.
    """
    batches = list(rows_with_views(view).values())
    if not batches:
        return None
    views = [batch.view(number).without_labels() for number in (0, 1) for batch in batches]
    return encode(view.model, Batch.concatenate(views))


def encode(model: nn.Module, batch: Batch) -> Tensor:
    """Return the fused features ``(B, D)``; maps ``(B, D, H, W)`` are averaged over positions."""
    features = cast(JointModel, model).encode(batch)
    return features if features.ndim == 2 else features.flatten(2).mean(dim=2)


def compare_views(
    view: StepView, projector: nn.Module, loss: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """Return the loss of the projections of both views, ``(N, P)`` each, in full precision.

    It is 0 for fewer than two rows.
    """
    features = encode_views(view)
    if features is None:
        return no_loss(view)
    projected = precise(projector(features))
    if len(projected) < 4:
        return 0 * projected.sum()
    with full_precision(projected):
        first, second = projected.chunk(2)
        return loss(first, second)


def plain_rows(view: StepView, modality: str) -> Batch | None:
    """Return the rows of all streams that have the modality, without labels and views.

    None if there are none.
    """
    found = []
    for batch in view.batches.values():
        bare = replace(batch.without_labels(), views=())
        mask = batch.present.get(modality)
        if mask is None:
            found.append(bare)
        elif bool(mask.any()):
            found.append(bare.select(mask))
    return Batch.concatenate(found) if found else None


def sample_row(stream: Stream) -> Batch:
    """Return the first row of a stream as the model sees it."""
    return next(iter(stream.take(torch.tensor([0])).sweep(1)))


def find_images(start: PhaseStart, term: str, reason: str) -> tuple[str, Tensor] | None:
    """Return the model's first modality of images, and an image ``(1, C, H, W)``.

    None if there are images, and the model does not take them: a baseline of other modalities.

    Args:
        start: of the phase.
        term: name of the term that asks, for the error.
        reason: why it needs images, for the error.

    Raises:
        UserError: if there are no images.
    """
    inputs = sample_row(next(iter(start.streams.values()))).inputs
    images = {m: x for m, x in inputs.items() if x.ndim == 4 and x.is_floating_point()}
    if not images:
        raise UserError.of(
            f"terms.{term}",
            f"{reason}, and the data has none, only {', '.join(inputs)}; "
            "choose simclr, barlow, vicreg, byol or lejepa, which take every kind of input",
        )
    trunk = any_trunk(start.model)
    taken = images if trunk is None else trunk.encoders
    return next(((m, images[m]) for m in taken if m in images), None)
