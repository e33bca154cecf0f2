"""Outputs of the joint model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class Outputs:
    """Outputs of the model on a batch.

    Attributes:
        features: modality -> ``(B, D_m)``; zero where the modality is absent.
        fused: ``(B, D)``, the features that tasks share.
        logits: head -> ``(B, outputs)``.
        members: head -> logits of each member ``(B, M, outputs)``, of heads that are ensembles.
    """

    features: Mapping[str, Tensor]
    fused: Tensor
    logits: Mapping[str, Tensor]
    members: Mapping[str, Tensor] = field(default_factory=dict)
