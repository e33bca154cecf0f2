"""Validators that score certain and diverse predictions: entropy, information maximization, BNM."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from jlrun.evaluation.validators.base import (
    Evidence,
    Validator,
    mean_entropy,
    mean_probabilities,
    probabilities,
    usable,
)


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


@dataclass(frozen=True)
class BNM(Validator):
    """‖P‖_* / √(T min(T, K)) of the target's predictions P ``(T, K)``, in (0, 1].

    The nuclear norm of Cui et al., "Towards Discriminability and Diversity: Batch Nuclear-Norm
    Maximization Under Label Insufficient Situations", CVPR 2020. Differs from it in: all rows make
    one batch, and the norm is divided by its largest value, instead of by T, so that numbers of
    rows and classes hardly matter. 1: certain of every row, all classes equally frequent. A
    collapse to one class scores 1/√min(T, K), what certain predictions cannot fall below.
    """

    name: ClassVar[str] = "bnm"

    def score(self, evidence: Evidence) -> float:
        logits = evidence.target_logits
        if not usable(logits):
            return float("-inf")
        gram = _gram(probabilities(logits))
        nuclear_norm = float(torch.linalg.eigvalsh(gram).clamp(min=0).sqrt().sum())
        return nuclear_norm / math.sqrt(len(logits) * min(len(logits), len(gram)))


def _gram(parts: Iterator[Tensor]) -> Tensor:
    """Return PᵀP ``(K, K)`` of rows P that come in parts.

    The singular values of P are the roots of its eigenvalues, and it does not grow with the rows.
    """
    first = next(parts)
    gram = first.T @ first
    for p in parts:
        gram += p.T @ p
    return gram
