"""What the rows of a phase look like, for terms that are about one kind of input."""

from __future__ import annotations

import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.data.streams import Stream
from jlrun.errors import UserError
from jlrun.terms.base import PhaseStart
from jlrun.terms.self_supervised.projector import any_trunk


def sample_row(stream: Stream) -> Batch:
    """Return the first row of a stream as the model sees it."""
    return next(iter(stream.take(torch.tensor([0])).sweep(1)))


def find_images(start: PhaseStart, term: str, reason: str) -> tuple[str, Tensor]:
    """Return the model's first modality of images, and an image ``(1, C, H, W)``.

    Args:
        start: of the phase.
        term: name of the term that asks, for the error.
        reason: why it needs images, for the error.

    Raises:
        UserError: if there are no images.
    """
    inputs = sample_row(next(iter(start.streams.values()))).inputs
    trunk = any_trunk(start.model)
    taken = list(inputs if trunk is None else trunk.encoders)
    for modality in taken:
        x = inputs[modality]
        if x.ndim == 4 and x.is_floating_point():
            return modality, x
    raise UserError.of(
        f"terms.{term}",
        f"{reason}, and the model takes none, only {', '.join(taken)}; "
        "choose simclr, barlow, vicreg, byol or lejepa, which take every kind of input",
    )
