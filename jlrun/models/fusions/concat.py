"""Fusion by concatenation."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from jlrun.models.fusions.base import Fusion, presence, require_several
from jlrun.ranges import Fraction


class Concat(Fusion):
    """``[f_1 | … | f_M]``, with a learned token in the place of an absent modality's features.

    Args:
        features: modality -> width D_m; the result is ``(B, Σ D_m)``.
        dropout: share of the result's units that are dropped in training.

    Raises:
        UserError: if there are fewer than two modalities.
    """

    def __init__(self, features: Mapping[str, int], dropout: Fraction = 0.0) -> None:
        super().__init__()
        require_several("concat", features)
        self.tokens = nn.ParameterDict()
        for modality, width in features.items():  # the constructor would sort a mapping by name
            self.tokens[modality] = nn.Parameter(torch.zeros(width))
        self.dropout = nn.Dropout(dropout)
        self.out_features = sum(features.values())

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        known = {m: features[m] for m in self.tokens}
        masks = presence(known, present)
        filled = [
            torch.where(mask[:, None], x, self.tokens[m].to(x.dtype))
            for (m, x), mask in zip(known.items(), masks.unbind(dim=1), strict=True)
        ]
        return self.dropout(torch.cat(filled, dim=1))
