"""The one model: encoders -> fusion -> heads."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from jlrun.data.batch import Batch
from jlrun.encoders.base import Encoder
from jlrun.fusions.base import Fusion


@dataclass(frozen=True)
class Outputs:
    """What the model yields on a batch.

    Attributes:
        features: modality -> ``(B, D_m)``; zero where the modality is absent.
        fused: ``(B, D)``, what the heads see.
        logits: task -> ``(B, outputs)``.
    """

    features: Mapping[str, Tensor]
    fused: Tensor
    logits: Mapping[str, Tensor]


class JointModel(nn.Module):
    """Encoders of the modalities, a fusion of what is present, and a head per task.

    Args:
        encoders: modality -> encoder.
        fusion: fusion over exactly these modalities, in this order.
        heads: head name -> head on the fused features.
    """

    def __init__(
        self, encoders: Mapping[str, Encoder], fusion: Fusion, heads: Mapping[str, nn.Module]
    ) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict(encoders)
        self.fusion = fusion
        self.heads = nn.ModuleDict(heads)

    def forward(self, batch: Batch, heads: Collection[str] | None = None) -> Outputs:
        """Encode the present rows of each modality, fuse, and apply the named heads (or all)."""
        features = {
            modality: self._encode(modality, encoder, batch)
            for modality, encoder in self.encoders.items()
        }
        present = {m: mask for m, mask in batch.present.items() if m in features}
        fused = self.fusion(features, present)
        names = self.heads.keys() if heads is None else heads
        return Outputs(features, fused, {name: self.heads[name](fused) for name in names})

    def _encode(self, modality: str, encoder: nn.Module, batch: Batch) -> Tensor:
        x = batch.inputs[modality]
        mask = batch.present.get(modality)
        if mask is None:
            return encoder(x)
        encoded = encoder(x[mask]) if bool(mask.any()) else None
        width: int = encoder.out_features  # pyright: ignore[reportAssignmentType]
        if encoded is None:
            return torch.zeros(len(x), width, device=x.device)
        return encoded.new_zeros(len(x), width).index_put((mask,), encoded)

    def num_parameters(self, trainable: bool = False) -> int:
        """Number of parameters, or of those that are trained."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad or not trainable)
