"""Fusion by gates that each row sets for itself."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from jlrun.models.fusions.base import Fusion, presence, require_several, zero_absent
from jlrun.ranges import Fraction, PositiveInt


class Gated(Fusion):
    """``Σ_m a_m ⊙ h_m``: ``h_m = tanh(W_m f_m + b_m)``, gates ``a = softmax_m(V_m f_m + c_m)``.

    Each unit has its own gates, which sum to one over the modalities that a row has. After the
    Gated Multimodal Unit of Arevalo et al., "Gated Multimodal Units for Information Fusion", ICLR
    workshop 2017. Differs from it in: gates are a softmax, so that absent modalities can be left
    out, and the score of a modality reads only that modality's features. (One gate per modality
    instead of one per unit did worse than the best single modality on `digits_dtmf`: it settles on
    the modality that fits the training rows first.)

    Args:
        features: modality -> width D_m.
        width: of the common space; the result is ``(B, width)``.
        dropout: share of the result's units that are dropped in training.

    Raises:
        UserError: if there are fewer than two modalities.
    """

    def __init__(
        self, features: Mapping[str, int], width: PositiveInt = 256, dropout: Fraction = 0.0
    ) -> None:
        super().__init__()
        require_several("gated", features)
        self.projections = nn.ModuleDict({m: nn.Linear(d, width) for m, d in features.items()})
        self.scores = nn.ModuleDict({m: nn.Linear(d, width) for m, d in features.items()})
        self.dropout = nn.Dropout(dropout)
        self.out_features = width

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        masks = presence({m: features[m] for m in self.projections}, present)
        known = {
            m: zero_absent(features[m], mask)
            for m, mask in zip(self.projections, masks.unbind(dim=1), strict=True)
        }
        hidden = torch.stack([self.projections[m](x).tanh() for m, x in known.items()], dim=1)
        scores = torch.stack([self.scores[m](x) for m, x in known.items()], dim=1)
        gates = scores.masked_fill(~masks[:, :, None], -torch.inf).softmax(dim=1)
        return self.dropout((gates * hidden).sum(dim=1))
