"""Stratified draws of rows: every class keeps its share."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from jlrun.data.rows import Rows

UNLABELLED = -1
# Below this, a combination of classes has no meaningful share in a small part.
MIN_ROWS_PER_COMBINATION = 10


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

    A stratum is a combination of the classes of all tasks if all that occur are frequent enough,
    otherwise a class of the main task. Unlabelled rows count as a separate class. All rows are one
    stratum if the main task has no classes.
    """
    tasks = [task for task in classes if has_class_column(rows, task, classes)]
    main = next(iter(classes))
    if len(rows) == 0 or main not in tasks:
        return torch.zeros(len(rows), dtype=torch.long)
    columns = torch.stack([class_column(rows, task) for task in tasks], dim=1)
    _, combination, counts = columns.unique(dim=0, return_inverse=True, return_counts=True)
    if counts.min() >= MIN_ROWS_PER_COMBINATION:
        return combination
    return class_column(rows, main).unique(return_inverse=True)[1]


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


def draw_groups(groups: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Return positions, ascending, of all rows of groups drawn until there are about ``count``.

    A group is taken if that brings the number of rows nearer to ``count``; at least one group is.

    Args:
        groups: int64 ``(N,)``, the group of each row.
        count: rows wanted, at least 1.
        generator: draws the order of the groups.
    """
    names, index = groups.unique(return_inverse=True)
    sizes = index.bincount(minlength=len(names)).tolist()
    taken, total = torch.zeros(len(names), dtype=torch.bool), 0
    for group in torch.randperm(len(names), generator=generator).tolist():
        if total == 0 or abs(total + sizes[group] - count) < abs(total - count):
            taken[group] = True
            total += sizes[group]
    return taken[index].nonzero().flatten()


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
