"""SigLIP: sigmoid loss; each pair of projections is an independent match / no-match decision."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.data.positives import positives
from jlrun.objective.terms.cross_modal.base import CrossModal, Pair
from jlrun.objective.terms.cross_modal.losses import sigmoid_contrastive
from jlrun.ranges import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt


class SigLIP(CrossModal):
    """R = the mean over pairs of modalities of the pairwise sigmoid loss of projections.

    Zhai et al., "Sigmoid Loss for Language Image Pre-Training", ICCV 2023: the sum over all pairs
    of rows over the number of rows, with learned scale t = exp(t′) and bias b. It needs no
    normalisation over the batch, and does better at small ones. Differs from it in: rows with equal
    text or labels are positives of each other; more than two modalities.

    Args:
        weight, space, modalities, anchor, positives, hidden, out_features: as in `CrossModal`.
        scale: t at the start.
        bias: b at the start; very negative, as nearly all pairs are negatives.
    """

    def __init__(
        self,
        weight: NonNegativeFloat = 1.0,
        space: str = "siglip",
        modalities: Sequence[str] | None = None,
        anchor: str | None = None,
        positives: Sequence[str] | None = None,
        hidden: NonNegativeInt = 0,
        out_features: PositiveInt = 128,
        scale: PositiveFloat = 10.0,
        bias: float = -10.0,
    ) -> None:
        super().__init__(weight, space, modalities, anchor, positives, hidden, out_features)
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))
        self.bias = nn.Parameter(torch.tensor(float(bias)))

    def pair_loss(self, pair: Pair) -> Tensor:
        x, y = F.normalize(pair.first, dim=1), F.normalize(pair.second, dim=1)
        positive = positives(pair.keys, pair.keys) | torch.eye(len(x), device=x.device).bool()
        return sigmoid_contrastive(x, y, positive, self.log_scale.exp(), self.bias)
