"""Fusion by feature-wise linear modulation: some modalities condition another one."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.errors import UserError, did_you_mean
from jlrun.models.fusions.base import Fusion, presence, require_several, zero_absent
from jlrun.ranges import Fraction, PositiveInt


class FiLM(Fusion):
    """``ReLU(γ ⊙ h + β)``: h is of the conditioned modality, γ and β of all others.

    h = norm(W f), γ = 1 + Σ_m Γ_m f_m + c_m and β = Σ_m B_m f_m + b_m over the present modalities
    that condition. Perez et al., "FiLM: Visual Reasoning with a General Conditioning Layer", AAAI
    2018, eqs. (1) and (2). Differs from it in: it modulates pooled features, once, and they are
    normalised by LayerNorm without weights in the place of BatchNorm; several modalities may
    condition; a learned vector takes the place of h where the conditioned modality is absent.

    Args:
        features: modality -> width D_m.
        width: of h; the result is ``(B, width)``.
        conditioned: the modality that all others condition; None: the first one.
        dropout: share of the result's units that are dropped in training.

    Raises:
        UserError: if there are fewer than two modalities, or none is called ``conditioned``.
    """

    def __init__(
        self,
        features: Mapping[str, int],
        width: PositiveInt = 256,
        conditioned: str | None = None,
        dropout: Fraction = 0.0,
    ) -> None:
        super().__init__()
        require_several("film", features)
        if conditioned is not None and conditioned not in features:
            hint = did_you_mean(conditioned, features)
            raise UserError.of("fusion.conditioned", f"the run has no '{conditioned}'.{hint}")
        self.conditioned = next(iter(features)) if conditioned is None else conditioned
        self.projection = nn.Linear(features[self.conditioned], width)
        self.absent = nn.Parameter(torch.zeros(width))
        self.generators = nn.ModuleDict(
            {m: nn.Linear(d, 2 * width) for m, d in features.items() if m != self.conditioned}
        )
        self.dropout = nn.Dropout(dropout)
        self.out_features = width

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        known = {m: features[m] for m in (self.conditioned, *self.generators)}
        has, *masks = presence(known, present).unbind(dim=1)
        projected = self.projection(zero_absent(known[self.conditioned], has))
        h = F.layer_norm(projected, projected.shape[1:])
        h = torch.where(has[:, None], h, self.absent.to(h.dtype))
        changes = [
            zero_absent(generator(zero_absent(known[m], mask)), mask)
            for (m, generator), mask in zip(self.generators.items(), masks, strict=True)
        ]
        gamma, beta = torch.stack(changes).sum(dim=0).chunk(2, dim=1)
        return self.dropout(((1 + gamma) * h + beta).relu())
