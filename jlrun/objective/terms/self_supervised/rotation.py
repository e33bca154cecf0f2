"""Rotation prediction: by how many quarter turns an image was rotated."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.data.batch import Batch
from jlrun.errors import UserError
from jlrun.objective.terms.base import Need, PhaseStart, StepView, Term, no_loss, precise
from jlrun.objective.terms.self_supervised.projector import fused_width, placed
from jlrun.objective.terms.self_supervised.rows import encode, find_images, plain_rows
from jlrun.ranges import NonNegativeFloat


class Rotation(Term):
    """R = cross-entropy of a linear head on the features of each image in all four rotations.

    Eqs. (1) to (3) of Gidaris, Singh and Komodakis, "Unsupervised Representation Learning by
    Predicting Image Rotations", ICLR 2018. Differs from it in: the head sees the fused features, to
    which other modalities of a row contribute unchanged. It rotates the inputs of the batch, not
    their views. Some digits and symbols look like others when rotated: the task suits photos. On a
    baseline that takes no images it is 0.

    Args:
        weight: strength α of the term.
    """

    needs: ClassVar[Need | None] = "views"
    head: nn.Linear

    def __init__(self, weight: NonNegativeFloat = 1.0) -> None:
        super().__init__()
        self.weight = weight
        self._modality: str | None = None

    def begin_phase(self, start: PhaseStart) -> None:
        """Build the head.

        Raises:
            UserError: if there are no images, or they are not square.
        """
        found = find_images(start, "rotation", "it rotates images")
        if found is None:
            return
        self._modality, image = found
        height, width = image.shape[2:]
        if height != width:
            raise UserError.of(
                "terms.rotation",
                f"images of {height}×{width} pixels change their shape in a quarter turn; it takes "
                "square images only: choose another term, such as simclr",
            )
        self.head = placed(nn.Linear(fused_width(start.model), 4), start.model)

    def forward(self, view: StepView) -> Tensor:
        modality = self._modality
        if modality is None or (rows := plain_rows(view, modality)) is None:
            return no_loss(view)
        turned = Batch.concatenate([_turned(rows, modality, turns) for turns in range(4)])
        logits = precise(self.head(encode(view.model, turned)))
        turns = torch.arange(4, device=logits.device).repeat_interleave(rows.size)
        return F.cross_entropy(logits, turns)


def _turned(rows: Batch, modality: str, turns: int) -> Batch:
    images = rows.inputs[modality].rot90(turns, (2, 3))
    return replace(rows, inputs={**rows.inputs, modality: images})
