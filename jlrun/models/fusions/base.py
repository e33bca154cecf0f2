"""Base classes of fusions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

from torch import Tensor, nn

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
