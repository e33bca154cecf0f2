"""Stratified draws of whole groups of rows: a part that has its share of every class."""

# N rows, G groups, S strata, P pairs of a group and a stratum that have rows

from __future__ import annotations

import torch
from torch import Tensor

_MOST_MOVES = 200
_MOST_SWAPPED = 20  # groups that are tried to be swapped for another
_WEIGHT = 10  # of the share of all rows
_LEAST_GAIN = 1e-4  # nats; of a share of a fifth, the next half a percent point
_FLOOR = 1e-3  # of shares, so that a stratum with no row in a part costs much, but not all


def draw_groups(groups: Tensor, strata: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Return positions, ascending, of all rows of some groups, about ``count`` and stratified.

    Groups are drawn at random until there are about ``count`` rows. Then one group after another is
    moved in or out, or swapped for another, each time so that the share of each stratum's rows, and
    of all rows, comes nearest to f = count / N, by the cross-entropy −f log p − (1 − f) log(1 − p)
    of the share p: its mean over the strata plus ten times that of all rows. A stratum of several
    groups thus gets into both parts, and one of a single group stays in the larger.

    Args:
        groups: int64 ``(N,)``, the group of each row.
        strata: int64 ``(N,)``.
        count: rows wanted, from 1 to N.
        generator: draws the order of the groups.
    """
    names, index = groups.unique(return_inverse=True)
    sizes = index.bincount(minlength=len(names))
    taken = _drawn(sizes.tolist(), count, generator)
    if 0 < int(taken.sum()) < len(names):
        _improve(taken, _Shares(index, sizes, strata), count / len(groups), generator)
    return taken[index].nonzero().flatten()


def _drawn(sizes: list[int], count: int, generator: torch.Generator) -> Tensor:
    """Return which groups are taken, each if that brings the rows nearer to ``count``."""
    taken, total = torch.zeros(len(sizes), dtype=torch.bool), 0
    for group in torch.randperm(len(sizes), generator=generator).tolist():
        if total == 0 or abs(total + sizes[group] - count) < abs(total - count):
            taken[group] = True
            total += sizes[group]
    return taken


class _Shares:
    """Which share of each stratum, and of all rows, a group is.

    Attributes:
        group, stratum, share: of each pair, ``(P,)``.
        of_all: share of all rows, ``(G,)``.
        num_strata: S.
    """

    def __init__(self, index: Tensor, sizes: Tensor, strata: Tensor) -> None:
        names, stratum = strata.unique(return_inverse=True)
        self.num_strata = len(names)
        pairs, counts = (index * self.num_strata + stratum).unique(return_counts=True)
        self.group, self.stratum = pairs // self.num_strata, pairs % self.num_strata
        self.share = counts.double() / stratum.bincount()[self.stratum]
        self.of_all = sizes.double() / len(index)

    def costs_of_moves(self, taken: Tensor, f: float) -> Tensor:
        """Return how much the cost rises if a group is moved, ``(G,)``."""
        sign = torch.where(taken, -1.0, 1.0).double()
        kept = taken[self.group]
        p = torch.zeros(self.num_strata, dtype=torch.float64)
        p = p.index_add(0, self.stratum[kept], self.share[kept])[self.stratum]
        rise = _cost(p + sign[self.group] * self.share, f) - _cost(p, f)
        total = self.of_all[taken].sum()
        found = _WEIGHT * (_cost(total + sign * self.of_all, f) - _cost(total, f))
        return found.index_add(0, self.group, rise / self.num_strata)


def _improve(taken: Tensor, shares: _Shares, f: float, generator: torch.Generator) -> None:
    """Move groups in and out of those that are taken, in place; neither part becomes empty."""
    for _ in range(_MOST_MOVES):
        rise = shares.costs_of_moves(taken, f)
        number = int(taken.sum())
        alone = rise.clone()
        if number == 1:
            alone[taken] = torch.inf
        if number == len(taken) - 1:
            alone[~taken] = torch.inf
        gain, moved = -float(alone.min()), [int(alone.argmin())]
        if gain < _LEAST_GAIN:
            gain, moved = _best_swap(taken, shares, f, rise, generator)
        if gain < _LEAST_GAIN:
            return
        taken[moved] = ~taken[moved]


def _best_swap(
    taken: Tensor, shares: _Shares, f: float, rise: Tensor, generator: torch.Generator
) -> tuple[float, list[int]]:
    """Return by how much the cost falls if one group gives its place to another, and both."""
    inside = taken.nonzero().flatten()
    drawn = torch.randperm(len(inside), generator=generator)[:_MOST_SWAPPED]
    best: tuple[float, list[int]] = (0.0, [])
    for group in inside[drawn].tolist():
        without = taken.clone()
        without[group] = False
        after = rise[group] + shares.costs_of_moves(without, f).masked_fill(taken, torch.inf)
        found = (-float(after.min()), [group, int(after.argmin())])
        best = max(best, found)
    return best


def _cost(p: Tensor, f: float) -> Tensor:
    inside = _FLOOR + (1 - 2 * _FLOOR) * p.clamp(0, 1)
    return -f * inside.log() - (1 - f) * (1 - inside).log()
