"""Evidence of a good model: classes are clusters, and predictions follow them."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from jlrun.evaluation.validators import Evidence

K, D, ROWS = 3, 4, 30


def clusters(rows: int = ROWS, num_classes: int = K) -> Evidence:
    """Two source rows in three, and all of the target's, are predicted with certainty."""
    generator = torch.Generator().manual_seed(0)

    def draw(shift: float) -> tuple[Tensor, Tensor, Tensor]:
        labels = torch.arange(rows) % num_classes
        features = torch.randn(rows, D, generator=generator) + shift
        noise = torch.randn(rows, num_classes, generator=generator)
        return features, 6 * torch.eye(num_classes)[labels] + noise, labels

    train, _, _ = draw(0.0)
    source, source_logits, labels = draw(0.0)
    target, target_logits, _ = draw(0.5)
    source_logits[::3] = torch.randn(len(source_logits[::3]), num_classes, generator=generator)
    return Evidence(train, source, source_logits, labels, target, target_logits)


def shuffled(evidence: Evidence) -> Evidence:
    """The same numbers as logits, each class's in a random order of its own."""
    generator = torch.Generator().manual_seed(1)

    def shuffle(logits: Tensor) -> Tensor:
        orders = [torch.randperm(len(logits), generator=generator) for _ in logits.T]
        return torch.stack([z[o] for z, o in zip(logits.T, orders, strict=True)], dim=1)

    return replace(
        evidence,
        source_logits=shuffle(evidence.source_logits),
        target_logits=shuffle(evidence.target_logits),
    )
