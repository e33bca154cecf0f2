"""Certain predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jlrun.evaluation.validators.base import Evidence, Validator, usable
from jlrun.evaluation.validators.predictions import mean_entropy


@dataclass(frozen=True)
class Entropy(Validator):
    """−mean H(p) of the target's predictions p in nats, in [−log K, 0].

    As Morerio et al., "Minimal-Entropy Correlation Alignment for Unsupervised Deep Domain
    Adaptation", ICLR 2018, select their alignment weight. Differs from it in: nothing. A collapse
    to one class scores 0, the highest: prefer `InformationMaximization` where that can happen.
    """

    name: ClassVar[str] = "entropy"

    def score(self, evidence: Evidence) -> float:
        if not usable(evidence.target_logits):
            return float("-inf")
        return -mean_entropy(evidence.target_logits)
