"""Certain predictions of many classes, by a matrix norm."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from jlrun.evaluation.validators.base import Evidence, Validator, usable
from jlrun.evaluation.validators.predictions import probabilities


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
