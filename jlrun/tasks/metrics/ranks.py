"""Rank-based scores; equal predictions share their mean rank."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor


def average_ranks(x: Tensor) -> Tensor:
    """Return the ranks in each column of ``(N, …)``, from 1, float64; equal values share theirs.

    They get the mean of the ranks that they have together.
    """
    values, order = x.sort(dim=0)
    position = torch.arange(len(x)).view(-1, *[1] * (x.ndim - 1)).expand_as(x)
    begins = torch.ones_like(x, dtype=torch.bool)  # whether a value differs from the one before
    begins[1:] = values[1:] != values[:-1]
    ends = begins.roll(-1, dims=0)  # the first value begins a run, so that the last one ends one
    first = torch.where(begins, position, 0).cummax(dim=0).values
    last = torch.where(ends, position, len(x)).flip(0).cummin(dim=0).values.flip(0)
    ranks = (first + last).double() / 2 + 1
    return torch.empty_like(ranks).scatter_(0, order, ranks)


def auroc(scores: Tensor, positive: Tensor) -> float:
    """Return the share of pairs of a positive and a negative row that are in order, ties a half.

    Args:
        scores: ``(N,)``, larger for rows taken for positive.
        positive: Bool ``(N,)``.

    Returns:
        the area under the ROC curve; NaN without a row of either kind, or if a score is NaN.
    """
    return mean_auroc(scores[:, None], positive[:, None])


def mean_auroc(scores: Tensor, positive: Tensor) -> float:
    """Return the mean `auroc` over the columns of ``(N, C)`` that have rows of both kinds."""
    # With NumPy: every epoch asks for it, and of few rows each call of PyTorch takes five times
    # as long. Ranks are whole numbers and halves, so that their sums are exact.
    s, yes = scores.numpy().T, positive.numpy().T
    above = yes.sum(axis=1)
    defined = (above > 0) & (above < len(scores))
    if not defined.any() or np.isnan(s[defined]).any():
        return math.nan
    areas = [_area(s[c], yes[c], int(above[c])) for c in defined.nonzero()[0]]
    return sum(areas) / len(areas)


def _area(s: np.ndarray, yes: np.ndarray, above: int) -> float:
    ordered, own = s.copy(), s[yes]
    ordered.sort()
    ends = ordered.searchsorted(own, "left") + ordered.searchsorted(own, "right")
    ranks = (int(ends.sum()) + above) / 2  # from 1, the mean of equals
    return (ranks - above * (above + 1) / 2) / (float(above) * (len(s) - above))


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
