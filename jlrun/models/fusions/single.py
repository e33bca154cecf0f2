"""No fusion: one modality."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from jlrun.errors import UserError
from jlrun.models.fusions.base import Fusion


class Single(Fusion):
    """Identity on the features ``(B, D)`` of the only modality.

    Args:
        features: the modality's name and width D.

    Raises:
        UserError: if there is not exactly one modality.
    """

    def __init__(self, features: Mapping[str, int]) -> None:
        super().__init__()
        if len(features) != 1:
            names = ", ".join(features) or "none"
            first = next(iter(features), "image")
            raise UserError.of(
                "fusion",
                f"'none' takes exactly one modality, but the run has {len(features)}: {names}. "
                f"Set fusion=gated, or keep one: modalities=[{first}].",
            )
        ((self.modality, self.out_features),) = features.items()

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        return features[self.modality]
