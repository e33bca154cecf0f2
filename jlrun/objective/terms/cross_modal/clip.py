"""CLIP: modalities of a row are nearer to each other than to other rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.data.positives import positives
from jlrun.objective.terms.cross_modal.base import CrossModal, Pair
from jlrun.objective.terms.cross_modal.losses import symmetric_contrastive
from jlrun.ranges import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

LARGEST_SCALE = 100.0


class CLIP(CrossModal):
    """R = the mean over pairs of modalities of the symmetric contrastive loss of projections.

    Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML
    2021. The scale that multiplies cosines is learned, and at most 100. Differs from it in: rows
    with equal text, or with equal labels in ``positives``, are positives of each other and not
    negatives; more than two modalities.

    Args:
        weight, space, modalities, anchor, positives, hidden, out_features: as in `CrossModal`.
        temperature: 1 / scale at the start.
    """

    def __init__(
        self,
        weight: NonNegativeFloat = 1.0,
        space: str = "clip",
        modalities: Sequence[str] | None = None,
        anchor: str | None = None,
        positives: Sequence[str] | None = None,
        hidden: NonNegativeInt = 0,
        out_features: PositiveInt = 128,
        temperature: PositiveFloat = 0.07,
    ) -> None:
        super().__init__(weight, space, modalities, anchor, positives, hidden, out_features)
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)))

    def pair_loss(self, pair: Pair) -> Tensor:
        x, y = F.normalize(pair.first, dim=1), F.normalize(pair.second, dim=1)
        positive = positives(pair.keys, pair.keys) | torch.eye(len(x), device=x.device).bool()
        return symmetric_contrastive(x, y, positive, self.log_scale.exp())

    @torch.no_grad()
    def after_step(self, model: nn.Module, progress: float) -> None:
        self.log_scale.clamp_(0, math.log(LARGEST_SCALE))
