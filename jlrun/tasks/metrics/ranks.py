"""Rank-based scores; equal predictions share their mean rank."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def average_ranks(x: Tensor) -> Tensor:
    """Return the rank of each of ``(N,)``, from 1, float64; equal values get their mean rank."""
    from scipy.stats import rankdata  # takes a while to import, and most tasks do without it

    return torch.from_numpy(rankdata(x.numpy()))


def auroc(scores: Tensor, positive: Tensor) -> float:
    """Return the share of pairs of a positive and a negative row that are in order, ties a half.

    Args:
        scores: ``(N,)``, larger for rows taken for positive.
        positive: Bool ``(N,)``.

    Returns:
        the area under the ROC curve; NaN without a row of either kind, or if a score is NaN.
    """
    above, total = int(positive.sum()), len(positive)
    if above in (0, total) or bool(scores.isnan().any()):
        return math.nan
    ranks = float(average_ranks(scores)[positive].sum())
    return (ranks - above * (above + 1) / 2) / (above * (total - above))


def mean_auroc(scores: Tensor, positive: Tensor) -> float:
    """Return the mean `auroc` over the columns of ``(N, C)`` that have rows of both kinds."""
    found = [auroc(s, p) for s, p in zip(scores.T, positive.T, strict=True) if 0 < p.sum() < len(p)]
    return sum(found) / len(found) if found else math.nan


def spearman(x: Tensor, y: Tensor) -> float:
    """Return the correlation of the ranks of ``(N,)``; NaN if either is constant or has a NaN."""
    if bool((x.isnan() | y.isnan()).any()):
        return math.nan
    middle = (len(x) + 1) / 2
    a, b = average_ranks(x) - middle, average_ranks(y) - middle
    norm = (a @ a).sqrt() * (b @ b).sqrt()
    return float((a @ b) / norm) if bool(norm > 0) else math.nan


def median(x: Tensor) -> float:
    """Return the median of ``(N,)``: the mean of the two middle values of an even number.

    NaN without any value, or with a NaN.
    """
    if not len(x) or bool(x.isnan().any()):
        return math.nan
    ordered = x.double().sort().values
    low, high = ordered[(len(x) - 1) // 2], ordered[len(x) // 2]
    return float(low + (high - low) / 2) if bool(low < high) else float(low)
