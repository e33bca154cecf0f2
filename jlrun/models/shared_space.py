"""Shared space: projections of several modalities to comparable vectors."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn


class SharedSpace(nn.Module):
    """A projection head per modality, from its features to vectors of one width.

    It is part of the model, so that checkpoints, exports and later runs have it.

    Args:
        widths: modality -> width D_m of its features.
        hidden: units of a hidden layer of each head; 0: the heads are linear.
        out_features: width P of the space.
    """

    def __init__(self, widths: Mapping[str, int], hidden: int, out_features: int) -> None:
        super().__init__()
        self.out_features = out_features
        self.heads = nn.ModuleDict(
            {m: projection(width, hidden, out_features) for m, width in widths.items()}
        )

    @property
    def modalities(self) -> tuple[str, ...]:
        """Those that have a head, in the order of the model."""
        return tuple(self.heads)

    def forward(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return modality -> projections ``(B, P)``, of any length, of features ``(B, D_m)``.

        Maps ``(B, D_m, H, W)`` are averaged over positions. Modalities without features are left
        out.
        """
        return {m: head(_pooled(features[m])) for m, head in self.heads.items() if m in features}


def projection(in_features: int, hidden: int, out_features: int) -> nn.Module:
    """Return a linear map, or one hidden layer with LayerNorm and GELU before it.

    LayerNorm and not BatchNorm: a row's projection must not depend on the batch's other rows.
    """
    if hidden == 0:
        return nn.Linear(in_features, out_features, bias=False)
    return nn.Sequential(
        nn.Linear(in_features, hidden),
        nn.LayerNorm(hidden),
        nn.GELU(),
        nn.Linear(hidden, out_features, bias=False),
    )


def _pooled(features: Tensor) -> Tensor:
    return features if features.ndim == 2 else features.flatten(2).mean(dim=2)
