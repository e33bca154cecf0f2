"""Late fusion: logits of each modality alone, averaged."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from jlrun.models.fusions.base import Fusion, presence, require_several, zero_absent


class Late(Fusion):
    """One head per modality and task; their logits are averaged over the present modalities.

    The representation only packs the inputs of the heads: ``[f_1 | … | f_M | present]``, where
    absent features are zero and ``present`` holds M columns of 0 and 1.

    Args:
        features: modality -> width D_m; the result is ``(B, Σ D_m + M)``.

    Raises:
        UserError: if there are fewer than two modalities.
    """

    def __init__(self, features: Mapping[str, int]) -> None:
        super().__init__()
        require_several("late", features)
        self.widths = dict(features)
        self.out_features = sum(features.values()) + len(features)

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        known = {m: features[m] for m in self.widths}
        masks = presence(known, present)
        parts = [
            zero_absent(x, mask)
            for x, mask in zip(known.values(), masks.unbind(dim=1), strict=True)
        ]
        return torch.cat([*parts, masks.to(parts[0].dtype)], dim=1)

    def build_head(self, make_head: Callable[[int], nn.Module]) -> nn.Module:
        return LateHead({m: make_head(width) for m, width in self.widths.items()}, self.widths)


class LateHead(nn.Module):
    """The heads of one task on the representation of `Late`: ``(B, Σ D_m + M)`` -> ``(B, K)``.

    Args:
        parts: modality -> head on its features ``(B, D_m)``, in the order of the packing.
        widths: modality -> D_m.
    """

    def __init__(self, parts: Mapping[str, nn.Module], widths: Mapping[str, int]) -> None:
        super().__init__()
        self.parts = nn.ModuleDict(parts)
        self.widths = [widths[m] for m in parts]

    def forward(self, fused: Tensor) -> Tensor:
        *features, present = fused.split([*self.widths, len(self.widths)], dim=1)
        masks = present > 0
        logits = [
            zero_absent(head(x), mask)
            for head, x, mask in zip(
                self.parts.values(), features, masks.unbind(dim=1), strict=True
            )
        ]
        return torch.stack(logits).sum(dim=0) / masks.sum(dim=1, keepdim=True)
