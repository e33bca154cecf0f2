"""Certain and balanced predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from jlrun.evaluation.validators.base import Evidence, Validator, usable
from jlrun.evaluation.validators.predictions import mean_entropy, mean_probabilities


@dataclass(frozen=True)
class InformationMaximization(Validator):
    """H(mean p) − mean H(p) of the target's predictions p in nats, in [0, log K].

    The mutual information of input and predicted class, as the IM validator of Musgrave et al.,
    "Three New Validators and a Large-Scale Benchmark Ranking for Unsupervised Domain Adaptation",
    2022. Differs from it in: nothing. A collapse to one class, and predictions that are the same
    for all rows, score 0. It prefers balanced classes, whether or not the target's are.
    """

    name: ClassVar[str] = "information_maximization"

    def score(self, evidence: Evidence) -> float:
        logits = evidence.target_logits
        if not usable(logits):
            return float("-inf")
        diversity = float(torch.special.entr(mean_probabilities(logits)).sum())
        return diversity - mean_entropy(logits)
