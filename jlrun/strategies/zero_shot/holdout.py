"""Holdout of unseen classes: no training or validation row has one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from jlrun.data.moments import measure_missing_statistics
from jlrun.data.specs import Spec
from jlrun.data.splits import Splits, View
from jlrun.data.strata import class_column
from jlrun.errors import UserError
from jlrun.strategies.zero_shot.classes import ClassSplit


def hold_out(
    splits: Splits, modalities: Mapping[str, Spec], task: str, split: ClassSplit, where: str
) -> Splits:
    """Return splits of which only the test rows have unseen classes.

    Rows whose class is not known are left out with them. Statistics of images are measured anew.

    Args:
        splits: with rows of all classes.
        modalities: specs of the data set as it lies on disk.
        task: the one whose classes are meant.
        split: which classes are seen.
        where: config path of the data set, for errors.

    Raises:
        UserError: if training or validation rows name unseen classes in another column, if a
            seen class has no training row, or if the test rows have no unseen class.
    """
    train, val, pool = (
        _seen_rows(view, task, split) for view in (splits.train, splits.val, splits.pool)
    )
    _check_rows(train, val, splits.test, task, split, where)
    for view, kind in ((train, "training"), (val, "validation")):
        _check_leakage(view, kind, splits.classes, task, split, where)
    statistics = measure_missing_statistics(modalities, train)
    return replace(splits, train=train, val=val, pool=pool, modalities=statistics)


def _seen_rows(view: View, task: str, split: ClassSplit) -> View:
    return view.take(split.is_seen(class_column(view, task)).nonzero().flatten())


def _check_rows(
    train: View, val: View, test: View, task: str, split: ClassSplit, where: str
) -> None:
    without = set(split.seen) - set(class_column(train, task).tolist())
    if without:
        names = ", ".join(split.names[position] for position in sorted(without))
        raise UserError.of(
            where,
            f"no training row is of {names}: add to zero_shot.unseen what is not learned, or use "
            "more rows",
        )
    if len(val) == 0:
        raise UserError.of(where, "no validation row is of a seen class; use more rows")
    if not set(split.unseen) & set(class_column(test, task).tolist()):
        names = ", ".join(split.unseen_names)
        raise UserError.of(where, f"no test row is of an unseen class ({names})")


def _check_leakage(
    view: View,
    kind: str,
    classes: Mapping[str, tuple[str, ...]],
    task: str,
    split: ClassSplit,
    where: str,
) -> None:
    for column in set(classes) - {task}:
        for position, name in enumerate(classes[column]):
            count = _count(view, column, position) if name in split.unseen_names else 0
            if count:
                raise UserError.of(
                    where,
                    f"the unseen class '{name}' of '{task}' is in {count} {kind} rows by their "
                    f"'{column}'; choose other classes by zero_shot.unseen",
                )


def _count(view: View, column: str, position: int) -> int:
    """Return how many rows have the class at ``position`` in a column of classes or of labels."""
    target: Tensor = view.targets[column]
    if target.ndim == 1:
        return int((class_column(view, column) == position).sum())
    if target.ndim != 2 or target.shape[1] == 0:  # maps
        return 0
    known = view.labelled.get(column, torch.ones(len(view), dtype=torch.bool))
    return int((target[:, position].bool() & known).sum())
