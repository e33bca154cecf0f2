"""Features and predictions, multiplied."""

# f features (B, D), p probabilities (B, C), R_f (D, d) and R_p (C, d) random

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class MultilinearMap(nn.Module):
    """f ⊗ p, ``(B, C · D)``; where that is too wide, (f R_f) ⊙ (p R_p) / √d, ``(B, d)``.

    Section 3.2 of Long et al., "Conditional Adversarial Domain Adaptation", NeurIPS 2018,
    with entries of R from a standard normal distribution, drawn once. Inner products of the second
    are those of the first on average.

    Args:
        in_features: D.
        num_classes: C.
        max_features: largest C · D that is computed in full.
        random_features: d.
    """

    random_f: Tensor | None
    random_p: Tensor | None

    def __init__(
        self, in_features: int, num_classes: int, max_features: int, random_features: int
    ) -> None:
        super().__init__()
        full = in_features * num_classes
        drawn = full > max_features
        self.out_features = random_features if drawn else full
        for name, size in (("random_f", in_features), ("random_p", num_classes)):
            self.register_buffer(name, torch.randn(size, random_features) if drawn else None)

    def forward(self, f: Tensor, p: Tensor) -> Tensor:
        if self.random_f is None or self.random_p is None:
            return (p[:, :, None] * f[:, None, :]).flatten(1)
        return (f @ self.random_f) * (p @ self.random_p) / math.sqrt(self.out_features)
