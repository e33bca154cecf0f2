"""Fusion by an outer product whose weights are of low rank."""

# B rows, D_m width of modality m, R rank, O width of the result

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from jlrun.models.fusions.base import Fusion, presence, require_several
from jlrun.ranges import Fraction, PositiveInt


class LowRank(Fusion):
    """``Σ_r ∏_m [f_m | 1] W_m^r + b``: a linear map of the outer product, never formed.

    Liu et al., "Efficient Low-rank Multimodal Fusion with Modality-Specific Factors", ACL 2018,
    eq. (6). Differs from it in: a learned token takes the place of an absent modality's features;
    and the start. Factors begin so that the row of the appended 1 is one and the others are small:
    each product is then 1 + Σ_m f_m w_m and smaller terms, and every modality has its own gradient
    from the first step, where random signs in each factor would leave only noise. (Published code
    keeps factors in Python lists, which no optimizer sees.)

    Args:
        features: modality -> width D_m.
        width: O; the result is ``(B, width)``.
        rank: R.
        dropout: share of the result's units that are dropped in training.

    Raises:
        UserError: if there are fewer than two modalities.
    """

    def __init__(
        self,
        features: Mapping[str, int],
        width: PositiveInt = 256,
        rank: PositiveInt = 4,
        dropout: Fraction = 0.0,
    ) -> None:
        super().__init__()
        require_several("low_rank", features)
        self.tokens, self.factors = nn.ParameterDict(), nn.ParameterDict()
        for modality, size in features.items():  # the constructor would sort a mapping by name
            self.tokens[modality] = nn.Parameter(torch.zeros(size))
            factor = torch.randn(rank, size + 1, width) * (rank * size) ** -0.5
            factor[:, -1] = 1.0
            self.factors[modality] = nn.Parameter(factor)
        self.bias = nn.Parameter(torch.full((width,), -float(rank)))  # the mean of the products
        self.dropout = nn.Dropout(dropout)
        self.out_features = width

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        known = {m: features[m] for m in self.factors}
        masks = presence(known, present).unbind(dim=1)
        parts = [
            self._part(m, torch.where(mask[:, None], x, self.tokens[m].to(x.dtype)))
            for (m, x), mask in zip(known.items(), masks, strict=True)
        ]
        product = parts[0]
        for part in parts[1:]:
            product = product * part
        return self.dropout(product.sum(dim=1) + self.bias)

    def _part(self, modality: str, x: Tensor) -> Tensor:
        """Return ``[f_m | 1] W_m^r`` for each r, ``(B, R, O)``, of ``(B, D_m)``."""
        x = torch.cat([x, x.new_ones(x.shape[0], 1)], dim=1)
        return torch.einsum("bd,rdo->bro", x, self.factors[modality])
