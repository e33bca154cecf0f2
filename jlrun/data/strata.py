"""Stratified draws of rows: every class keeps its share."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from jlrun.data.rows import Rows

UNLABELLED = -1
# Below this, a combination of classes has no meaningful share in a small part.
MIN_ROWS_PER_COMBINATION = 10
_BINS = (10, 5, 2)  # of numbers, between quantiles


def class_column(rows: Rows, task: str) -> Tensor:
    """Return the class of every row, int64 ``(N,)``, `UNLABELLED` where it is not known."""
    target = rows.targets[task].long()
    known = rows.labelled.get(task)
    return target if known is None else torch.where(known, target, UNLABELLED)


def has_class_column(rows: Rows, task: str, classes: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether each row has one class, unlike in regression and multilabel tasks."""
    return bool(classes[task]) and rows.targets[task].ndim == 1


def strata(rows: Rows, classes: Mapping[str, tuple[str, ...]]) -> Tensor:
    """Return the stratum of every row, int64 ``(N,)``, numbered from 0.

    A stratum is a combination of the classes of tasks, in their order; a task that would make some
    combination rare is left out, unless it is the main one and has classes. Numbers of a regression
    task count as 10, 5 or 2 classes between their quantiles, as many as leave none rare. Unlabelled
    rows count as a separate class. Tasks of several labels or maps in a row are left out.
    """
    found = torch.zeros(len(rows), dtype=torch.long)
    if not len(rows):
        return found
    for position, task in enumerate(classes):
        if has_class_column(rows, task, classes):
            choices = [class_column(rows, task)]
        elif not classes[task] and rows.targets[task].ndim == 1:
            choices = [_binned(rows, task, bins) for bins in _BINS]
        else:
            continue
        for column in choices:
            pairs = torch.stack([found, column], dim=1)
            _, combined, counts = pairs.unique(dim=0, return_inverse=True, return_counts=True)
            is_main = position == 0 and bool(classes[task])
            if is_main or counts.min() >= MIN_ROWS_PER_COMBINATION:
                found = combined
                break
    return found


def _binned(rows: Rows, task: str, bins: int) -> Tensor:
    """Return which part between quantiles each number is in, `UNLABELLED` where there is none."""
    y, known = rows.targets[task].double(), rows.labelled.get(task)
    if known is None:
        known = torch.ones(len(y), dtype=torch.bool)
    ordered = y[known].sort().values
    cuts = ordered[[len(ordered) * i // bins for i in range(1, bins)]] if len(ordered) else ordered
    return torch.where(known, torch.searchsorted(cuts, y, right=True), UNLABELLED)


def draw_share(strata: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Return ``count`` positions, ascending, drawn from each stratum in proportion to its size.

    Rounded by largest remainder, with ties broken at random.
    """
    sizes = strata.bincount()
    quotas = sizes.double() * count / max(len(strata), 1)
    counts = quotas.floor().long()
    tie_break = 1e-6 * torch.rand(len(sizes), generator=generator, dtype=torch.float64)
    largest = (quotas - counts + tie_break).argsort(descending=True)
    counts[largest[: count - int(counts.sum())]] += 1
    return _draw(strata, counts, generator)


def draw_each(classes: Tensor, shots: int, num_classes: int, generator: torch.Generator) -> Tensor:
    """Return positions of ``shots`` rows per class, ascending; unlabelled rows are never drawn.

    Every class must have that many. Equal generators draw nested rows: those of fewer shots are
    among those of more.
    """
    return _draw(classes, torch.full((num_classes,), shots), generator)


def _draw(groups: Tensor, counts: Tensor, generator: torch.Generator) -> Tensor:
    drawn = []
    for group, count in enumerate(counts.tolist()):
        members = (groups == group).nonzero().flatten()
        order = torch.randperm(len(members), generator=generator)
        drawn.append(members[order[:count]])
    return torch.cat(drawn).sort().values if drawn else torch.zeros(0, dtype=torch.long)
