"""Base classes of fusions, the presence of modalities in a row, and no fusion."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from jlrun.errors import UserError
from jlrun.models.encoders.base import Tokens


class Fusion(nn.Module, ABC):
    """Fusion of the features of the present modalities into one representation.

    Constructors take ``features``, a mapping of modality to its width D_m, first. Its order is the
    order of modalities. ``out_features`` is the width D of the representation.
    """

    out_features: int

    @abstractmethod
    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Return the representation ``(B, D)``.

        Args:
            features: modality -> ``(B, D_m)``. Rows of an absent modality hold arbitrary finite
                values: the result must not depend on them.
            present: modality -> Bool ``(B,)``; a modality without an entry is present in all rows.
                Every row has at least one modality.
        """

    def build_head(self, make_head: Callable[[int], nn.Module]) -> nn.Module:
        """Return the head of one task on this representation: ``(B, D)`` -> ``(B, outputs)``.

        ``make_head`` builds a head for a given width. `Late` builds one per modality.
        """
        return make_head(self.out_features)


class TokenFusion(Fusion, ABC):
    """Fusion that attends to the tokens of the modalities, not only to pooled features.

    ``features`` of the constructor holds the widths of tokens (`Encoder.token_features`).
    """

    @abstractmethod
    def attend(self, tokens: Mapping[str, Tokens], present: Mapping[str, Tensor]) -> Tensor:
        """Return the representation ``(B, D)``.

        Args:
            tokens: modality -> tokens ``(B, T_m, W_m)``. Rows of an absent modality hold arbitrary
                values: the result must not depend on them.
            present: as in `forward`.
        """

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Return the representation ``(B, D)`` where each modality has one token, ``(B, W_m)``."""
        return self.attend({m: Tokens(x[:, None]) for m, x in features.items()}, present)


def require_several(name: str, features: Mapping[str, int]) -> None:
    """Check that there are at least two modalities.

    Raises:
        UserError: if there are fewer than two modalities.
    """
    if len(features) < 2:
        found = f"only '{next(iter(features))}'" if features else "no modality"
        raise UserError.of(
            "fusion",
            f"'{name}' fuses two modalities or more, but the run has {found}. "
            "Set fusion=none, or choose a data set with more modalities.",
        )


def presence(features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
    """Return the present modalities of each row, Bool ``(B, M)``, in the order of ``features``."""
    columns = [
        present[modality] if modality in present else x.new_ones(x.shape[0], dtype=torch.bool)
        for modality, x in features.items()
    ]
    return torch.stack(columns, dim=1)


def zero_absent(x: Tensor, mask: Tensor) -> Tensor:
    """Return ``x`` ``(B, D)`` with zeros in the rows where ``mask``, Bool ``(B,)``, is false."""
    return x.masked_fill(~mask[:, None], 0.0)


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
