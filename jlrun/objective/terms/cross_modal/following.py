"""Copies that follow what is trained."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def follow(own: nn.Module, copied: nn.Module, momentum: float) -> None:
    """Move the copy's parameters towards those of ``own``, ξ ← τ ξ + (1 − τ) θ; take its buffers.

    Args:
        own: what is trained, θ.
        copied: of the same form, ξ.
        momentum: τ, from 0 to 1.
    """
    for new, old in zip(own.parameters(), copied.parameters(), strict=True):
        old.lerp_(new, 1 - momentum)
    for new, old in zip(own.buffers(), copied.buffers(), strict=True):
        old.copy_(new)
