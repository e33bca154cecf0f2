"""Folds of rows for cross-validation: stratified, by whole groups, or forward in time."""

# N rows, K folds, S strata, G groups

from __future__ import annotations

import torch
from torch import Tensor


def stratified_folds(strata: Tensor, folds: int, generator: torch.Generator) -> Tensor:
    """Return the fold of each row, int64 ``(N,)``, drawn at random.

    Numbers of rows differ by one at most between folds, within each stratum and altogether.

    Args:
        strata: int64 ``(N,)``.
        folds: K, at most N.
        generator: draws the rows.
    """
    drawn = torch.randperm(len(strata), generator=generator)
    order = drawn[strata[drawn].argsort(stable=True)]
    found = torch.empty_like(order)
    found[order] = torch.arange(len(order)) % folds
    return found


def group_folds(groups: Tensor, strata: Tensor, folds: int, generator: torch.Generator) -> Tensor:
    """Return the fold of each row, int64 ``(N,)``: groups stay whole, strata are spread evenly.

    The greedy rule of scikit-learn's `StratifiedGroupKFold`: groups of the most uneven strata come
    first, and each goes where the shares of the strata in the folds vary least. Differs from it in:
    the order is drawn anew with random weights between a half and one, so that repeats differ.

    Args:
        groups: int64 ``(N,)``, of at least ``folds`` values.
        strata: int64 ``(N,)``.
        folds: K.
        generator: draws the order of the groups.
    """
    names, index = groups.unique(return_inverse=True)
    _, stratum = strata.unique(return_inverse=True)
    counts = torch.zeros(len(names), int(stratum.max()) + 1, dtype=torch.float64)
    counts.index_put_((index, stratum), torch.ones(len(groups)).double(), accumulate=True)
    shares = counts / counts.sum(dim=0)
    weight = 0.5 + 0.5 * torch.rand(len(names), generator=generator, dtype=torch.float64)
    uneven = counts.std(dim=1, correction=0) + counts.sum(dim=1) / counts.sum()
    in_folds = torch.zeros(folds, counts.shape[1], dtype=torch.float64)
    itself = torch.eye(folds, dtype=torch.float64)[:, :, None]
    fold_of_group = torch.zeros(len(names), dtype=torch.long)
    for group in (uneven * weight).argsort(descending=True).tolist():
        tried = in_folds + itself * shares[group]  # (K choices, K, S)
        spread = tried.std(dim=1, correction=0).mean(dim=1)
        least = (spread - spread.min()).abs() <= 1e-12
        rows = torch.where(least, in_folds.sum(dim=1), torch.inf)
        chosen = int(rows.argmin())
        in_folds[chosen] += shares[group]
        fold_of_group[group] = chosen
    return fold_of_group[index]


def forward_fold(times: Tensor, folds: int, fold: int) -> tuple[Tensor, Tensor]:
    """Return Bool ``(N,)`` of the training and of the test rows: all before, and the next part.

    The division of scikit-learn's `TimeSeriesSplit`: K + 1 parts of the rows in order, of which the
    first is never tested on. Rows of one time are never divided.

    Args:
        times: ``(N,)``.
        folds: K, less than N.
        fold: from 0.
    """
    ordered = times.sort().values
    size = len(times) // (folds + 1)
    start = len(times) - (folds - fold) * size
    begin = ordered[start]
    train, test = times < begin, times >= begin
    if fold + 1 < folds:
        test &= times < ordered[start + size]
    return train, test


def last_in_time(times: Tensor, count: int) -> Tensor:
    """Return the positions of the last rows, about ``count``: those of one time stay together.

    Args:
        times: ``(N,)``.
        count: rows wanted, from 1 to N − 1.
    """
    begin = times.sort().values[len(times) - count]
    return (times >= begin).nonzero().flatten()
