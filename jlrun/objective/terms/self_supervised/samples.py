"""Sample rows of a phase, for terms on one kind of input."""

from __future__ import annotations

import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.data.streams import Stream
from jlrun.errors import UserError
from jlrun.objective.terms.base import PhaseStart
from jlrun.objective.terms.self_supervised.projector import any_trunk


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
