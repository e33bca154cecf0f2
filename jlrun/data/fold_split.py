"""Split of a data set by one of its folds: its rows to test on, and those of the others."""

from __future__ import annotations

import torch
from torch import Tensor

from jlrun.data.dataset import Dataset
from jlrun.data.folds import forward_fold, group_folds, stratified_folds
from jlrun.data.strata import strata
from jlrun.data.view import View
from jlrun.errors import UserError
from jlrun.seeding import derive_seed
from jlrun.wording import counted


def fold_split(
    view: View, dataset: Dataset, folds: int, fold: int, seed: int, where: str
) -> tuple[View, View]:
    """Return the rows to learn from and the rows to test on; these have a label of some task.

    Args:
        view: rows of ``dataset.train``.
        dataset: with the groups or the times of its rows, if they have any.
        folds: of each division.
        fold: from 0, through all divisions.
        seed: of the divisions.
        where: config path of the data set, for errors.

    Raises:
        UserError: if there is a test split already, or there are too few rows, groups or times.
    """
    if dataset.test is not None:
        fix = "leave the split out (a table's test_path or split_column, a folder's test), or folds"
        raise UserError.of(f"{where}.folds", f"the data set has a test split of its own; {fix}")
    labelled = view.take(_has_label(view).nonzero().flatten())
    repeat, part = divmod(fold, folds)
    if dataset.times is not None:
        return _forward(view, labelled, dataset.times, folds, part, where)
    generator = torch.Generator().manual_seed(derive_seed(seed, "folds", repeat))
    number = _drawn(labelled, dataset, folds, generator, where)
    test = labelled.take((number == part).nonzero().flatten())
    tested = torch.isin(view.indices, test.indices)
    if dataset.groups is not None:  # with the unlabelled rows of its groups
        tested |= torch.isin(dataset.groups[view.indices], dataset.groups[test.indices])
    return view.take((~tested).nonzero().flatten()), test


def _drawn(
    labelled: View, dataset: Dataset, folds: int, generator: torch.Generator, where: str
) -> Tensor:
    """Return the fold of each labelled row, int64 ``(N,)``."""
    found = strata(labelled, dataset.classes)
    if dataset.groups is None:
        _check_enough(len(labelled), folds, "labelled rows", where)
        return stratified_folds(found, folds, generator)
    groups = dataset.groups[labelled.indices]
    _check_enough(len(groups.unique()), folds, "groups of rows", where)
    return group_folds(groups, found, folds, generator)


def _forward(
    view: View, labelled: View, times: Tensor, folds: int, part: int, where: str
) -> tuple[View, View]:
    """Return the rows before those of a fold, and these; rows after them are left out."""
    own = times[labelled.indices]
    _check_enough(len(own) - 1, folds, "labelled rows but one", where)
    before, tested = forward_fold(own, folds, part)
    if not before.any() or not tested.any():
        message = f"fold {part} has no rows before or in it: too many rows have one time"
        raise UserError.of(f"{where}.folds", f"{message}; use fewer folds")
    earlier = times[view.indices] < own[tested].min()
    return view.take(earlier.nonzero().flatten()), labelled.take(tested.nonzero().flatten())


def _has_label(view: View) -> Tensor:
    """Return Bool ``(N,)``: which rows have a label of some task."""
    everywhere = torch.ones(len(view), dtype=torch.bool)
    masks = [view.labelled.get(task, everywhere) for task in view.targets]
    return torch.stack(masks).any(dim=0)


def _check_enough(found: int, folds: int, what: str, where: str) -> None:
    if found < folds:
        message = f"{folds} folds of {found} {what}: use at most {counted(max(found, 1), 'fold')}"
        raise UserError.of(f"{where}.folds", message)
