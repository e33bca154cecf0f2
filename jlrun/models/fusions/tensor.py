"""Fusion by an outer product."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.errors import UserError
from jlrun.models.fusions.base import Fusion, presence, require_several, zero_absent
from jlrun.ranges import Fraction

MAX_MODALITIES = 3
MAX_UNITS = 2**16


class TensorProduct(Fusion):
    """``[h_1 | 1] ⊗ … ⊗ [h_M | 1]``: products of units of every subset of the modalities.

    Zadeh et al., "Tensor Fusion Network for Multimodal Sentiment Analysis", EMNLP 2017, eq. (3).
    h_m = norm(W_m f_m + b_m) has few units, as LayerNorm without weights leaves them; there they
    come from networks that end in ReLU. (A tanh did not learn: on `av_digits` the sound's units
    were saturated from the start.) An absent modality is ``[0 | 1]``, neutral in the product: the
    tensor of the others is left.

    Args:
        features: modality -> width D_m; at most 3, as the size grows exponentially.
        width: of each h_m, at least 2; the result is ``(B, (width + 1)^M)``.
        dropout: share of the result's units that are dropped in training.

    Raises:
        UserError: if there are fewer than two or more than three modalities, or the tensor has more
            than 65,536 units.
    """

    def __init__(
        self,
        features: Mapping[str, int],
        width: Annotated[int, Ge(2)] = 16,
        dropout: Fraction = 0.0,
    ) -> None:
        super().__init__()
        require_several("tensor", features)
        count, units = len(features), (width + 1) ** len(features)
        size = f"a product of {width + 1}^{count} = {units:,} units"
        if count > MAX_MODALITIES:
            raise UserError.of(
                "fusion",
                f"'tensor' takes at most {MAX_MODALITIES} modalities, but the run has {count}: "
                f"{size}. Set fusion=low_rank, or keep {MAX_MODALITIES}: "
                f"modalities=[{','.join(list(features)[:MAX_MODALITIES])}].",
            )
        if units > MAX_UNITS:
            largest = next(w for w in range(width, 0, -1) if (w + 1) ** count <= MAX_UNITS)
            raise UserError.of(
                "fusion.width",
                f"{width} makes {size}, and at most {MAX_UNITS:,} are allowed; set it to {largest} "
                "or less, or fusion=low_rank",
            )
        self.projections = nn.ModuleDict({m: nn.Linear(d, width) for m, d in features.items()})
        self.dropout = nn.Dropout(dropout)
        self.out_features = units

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        known = {m: features[m] for m in self.projections}
        masks = presence(known, present).unbind(dim=1)
        product = None
        for (modality, x), mask in zip(known.items(), masks, strict=True):
            projected = self.projections[modality](zero_absent(x, mask))
            h = zero_absent(F.layer_norm(projected, projected.shape[1:]), mask)
            h = torch.cat([h, h.new_ones(h.shape[0], 1)], dim=1)
            product = h if product is None else (product[:, :, None] * h[:, None]).flatten(1)
        assert product is not None
        return self.dropout(product)
