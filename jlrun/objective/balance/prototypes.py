"""Prototypes of a task's classes in the features of a modality."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Prototypes(nn.Module):
    """Running means of the features of each class.

    Args:
        num_classes: C.
        width: D of the features.
    """

    def __init__(self, num_classes: int, width: int) -> None:
        super().__init__()
        self.centres: Tensor
        self.known: Tensor
        self.register_buffer("centres", torch.zeros(num_classes, width))
        self.register_buffer("known", torch.zeros(num_classes, dtype=torch.bool))

    def forward(self, features: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return sums over the rows whose class is known: −log p_y, the entropy of p, and p_y.

        p = softmax(−‖f − c‖) over the known classes; the last is detached.

        Args:
            features: f ``(B, D)`` float32.
            target: y int64 ``(B,)``.
        """
        rows = self.known[target]
        features, target = features[rows], target[rows]
        distances = torch.cdist(features, self.centres, compute_mode="donot_use_mm_for_euclid_dist")
        log_p = (-distances).masked_fill(~self.known, -torch.inf).log_softmax(dim=1)
        right = log_p.gather(1, target[:, None])
        log_p = log_p.masked_fill(~self.known, 0.0)
        p = log_p.exp() * self.known
        return -right.sum(), -(p * log_p).sum(), right.detach().exp().sum()

    def sums(self, features: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return the sums of features of each class ``(C, D)`` and how many there are ``(C,)``."""
        sums = torch.zeros_like(self.centres).index_add(0, target, features)
        ones = features.new_ones(len(target))
        counts = features.new_zeros(len(self.centres)).index_add(0, target, ones)
        return {"sums": sums, "counts": counts}

    def follow(self, sums: Tensor, counts: Tensor, momentum: float) -> None:
        """Move towards the means of a step; a new class starts at its mean."""
        seen = counts > 0
        means = sums / counts.clamp(min=1)[:, None]
        kept = torch.where(self.known, momentum, 0.0)[:, None]
        moved = kept * self.centres + (1 - kept) * means
        self.centres = torch.where(seen[:, None], moved, self.centres)
        self.known = self.known | seen
