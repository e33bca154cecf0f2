"""Fusion by products of pairs of modalities."""

# B rows, D_m width of modality m, K factors, W width of the result

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import torch
from torch import Tensor, nn

from jlrun.models.fusions.base import Fusion, presence, require_several, zero_absent
from jlrun.ranges import Fraction, PositiveInt


class Multiplicative(Fusion):
    """``mean_m V_m f_m + mean_{m<n} f_m 𝕎_mn f_n + b``, over the modalities of a row.

    Jayakumar et al., "Multiplicative Interactions and Where to Find Them", ICLR 2020, eq. (1). Each
    𝕎_mn ``(D_m, W, D_n)`` has, for each unit of the result, a matrix of rank K: the sum of K
    products, as in Yu et al., "Multi-modal Factorized Bilinear Pooling", ICCV 2017, eq. (4).
    Differs from it in: any number of modalities, by pairs; means, so that the scale is the same
    however many are present; and no normalisation after the pooling.

    Args:
        features: modality -> width D_m.
        width: W; the result is ``(B, width)``.
        factors: K.
        dropout: share of the result's units that are dropped in training.

    Raises:
        UserError: if there are fewer than two modalities.
    """

    def __init__(
        self,
        features: Mapping[str, int],
        width: PositiveInt = 256,
        factors: PositiveInt = 4,
        dropout: Fraction = 0.0,
    ) -> None:
        super().__init__()
        require_several("multiplicative", features)
        self.linear = nn.ModuleDict(
            {m: nn.Linear(d, width, bias=False) for m, d in features.items()}
        )
        self.pairs = nn.ModuleList(
            Product(features[m], features[n], width, factors) for m, n in combinations(features, 2)
        )
        self.bias = nn.Parameter(torch.zeros(width))
        self.dropout = nn.Dropout(dropout)
        self.out_features = width

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        known = {m: features[m] for m in self.linear}
        masks = presence(known, present)
        x = [zero_absent(f, mask) for f, mask in zip(known.values(), masks.unbind(1), strict=True)]
        # Without biases, absent features add nothing.
        linear = torch.stack([layer(f) for layer, f in zip(self.linear.values(), x, strict=True)])
        products = torch.stack(
            [pair(a, b) for pair, (a, b) in zip(self.pairs, combinations(x, 2), strict=True)]
        )
        count = masks.sum(dim=1, keepdim=True)
        num_pairs = (count * (count - 1) // 2).clamp(min=1)
        total = linear.sum(dim=0) / count + products.sum(dim=0) / num_pairs + self.bias
        return self.dropout(total)


class Product(nn.Module):
    """The bilinear map of two features, each unit's matrix of rank K: ``(B, W)``."""

    def __init__(self, left: int, right: int, width: int, factors: int) -> None:
        super().__init__()
        self.left = nn.Linear(left, factors * width, bias=False)
        self.right = nn.Linear(right, factors * width, bias=False)
        self.factors = factors

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """Return ``(B, W)`` of ``(B, D_m)`` and ``(B, D_n)``."""
        return (self.left(left) * self.right(right)).unflatten(1, (-1, self.factors)).sum(dim=2)
