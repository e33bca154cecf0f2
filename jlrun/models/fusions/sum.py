"""Fusion by addition in a common space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from jlrun.models.fusions.base import Fusion, presence, require_several, zero_absent
from jlrun.ranges import Fraction, PositiveInt


class Sum(Fusion):
    """``Σ_m W_m f_m + b_m`` over the present modalities, or its mean over them.

    Args:
        features: modality -> width D_m.
        width: of the common space; the result is ``(B, width)``.
        reduce: ``mean`` keeps the scale the same however many modalities a row has.
        dropout: share of the result's units that are dropped in training.

    Raises:
        UserError: if there are fewer than two modalities.
    """

    def __init__(
        self,
        features: Mapping[str, int],
        width: PositiveInt = 256,
        reduce: Literal["mean", "sum"] = "mean",
        dropout: Fraction = 0.0,
    ) -> None:
        super().__init__()
        require_several("sum", features)
        self.projections = nn.ModuleDict({m: nn.Linear(d, width) for m, d in features.items()})
        self.reduce = reduce
        self.dropout = nn.Dropout(dropout)
        self.out_features = width

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        known = {m: features[m] for m in self.projections}
        masks = presence(known, present)
        projected = [
            zero_absent(self.projections[m](zero_absent(x, mask)), mask)
            for (m, x), mask in zip(known.items(), masks.unbind(dim=1), strict=True)
        ]
        total = torch.stack(projected).sum(dim=0)
        if self.reduce == "mean":
            total = total / masks.sum(dim=1, keepdim=True)
        return self.dropout(total)
