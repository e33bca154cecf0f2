"""Data sets of plain objects that a user's function returned, such as tensors or a frame."""

# N rows

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from jlrun.data.dataset import Dataset
from jlrun.data.plain_columns import Columns, NotColumns, class_names, columns_of, split_parts
from jlrun.data.plain_inputs import classes_of, inputs_of, number_columns, spec_of, targets_of
from jlrun.data.rows import TensorRows
from jlrun.data.specs import NO_SPECS, Spec
from jlrun.errors import UserError, did_you_mean
from jlrun.tasks import Task

_TABULAR = "tabular"


def as_dataset(
    found: Any,
    kinds: Mapping[str, str],
    tasks: Mapping[str, Task],
    target: str,
    where: str,
) -> Dataset:
    """Return the data set that plain objects describe; a `Dataset` as it is.

    Columns go by the names of modalities and tasks. ``tabular`` may be absent: it is then all other
    columns, which must be numbers. Means and deviations are learned from the training rows, classes
    are the distinct values of all rows, in order, or as a Dataset of Hugging Face names them.

    Args:
        found: what the function returned.
        kinds: modality -> its kind, as the configuration has them.
        tasks: of the configuration.
        target: path of the function.
        where: config path of the data set, for errors.

    Raises:
        UserError: if it is nothing of the kind, or lacks a modality or a task.
    """
    if isinstance(found, Dataset):
        return found
    try:
        parts = split_parts(found)
        columns = {
            split: columns_of(part, tuple(kinds), tuple(tasks)) for split, part in parts.items()
        }
        return _made(columns, kinds, tasks, class_names(parts["train"]))
    except NotColumns as error:
        message = f"'{target}' returned {' '.join(str(error).split())}"
        raise UserError.of(f"{where}._target_", message) from error


def _made(
    columns: Mapping[str, Columns],
    kinds: Mapping[str, str],
    tasks: Mapping[str, Task],
    named: Mapping[str, tuple[str, ...]],
) -> Dataset:
    rest = tuple(name for name in columns["train"] if name not in kinds and name not in tasks)
    for split, found in columns.items():
        _check_names(split, found, kinds, tasks, rest)
    inputs = {split: _inputs(found, kinds, rest) for split, found in columns.items()}
    classes = {
        name: named.get(name) or classes_of(name, task, [found[name] for found in columns.values()])
        for name, task in tasks.items()
    }
    rows = {
        split: _rows(inputs[split], found, tasks, classes, named)
        for split, found in columns.items()
    }

    def measured(known: Mapping[str, Spec]) -> Callable[[Tensor], Dataset]:
        def fit(trained: Tensor) -> Dataset:
            own = {
                m: spec_of(kind, inputs["train"][m], _names(m, inputs["train"], rest), trained)
                for m, kind in kinds.items()
            }
            return replace(whole, modalities={m: known.get(m, spec) for m, spec in own.items()})

        return fit

    def adopt(known: Mapping[str, Spec]) -> Dataset:
        return replace(whole, fit=measured(known))

    train = rows["train"]
    whole = Dataset(train, {}, classes, rows.get("val"), rows.get("test"))
    first = measured(NO_SPECS)(torch.arange(len(train)))
    return replace(first, fit=measured(NO_SPECS), adopt=adopt)


def _check_names(
    split: str,
    columns: Columns,
    kinds: Mapping[str, str],
    tasks: Mapping[str, Task],
    rest: Sequence[str],
) -> None:
    for name in (*kinds, *tasks):
        if name in columns or (name == _TABULAR and rest):
            continue
        what = "modality" if name in kinds else "task"
        hint = did_you_mean(name, columns)
        raise NotColumns(f"no column of the {what} '{name}' in its {split} rows.{hint}")
    for name, values in columns.items():
        if not hasattr(values, "__len__") or getattr(values, "ndim", 1) == 0:
            raise NotColumns(
                f"{name} that is a {type(values).__name__}; expected a value of each row"
            )
    sizes = {name: len(values) for name, values in columns.items()}
    if split == "train" and not all(sizes.values()):
        raise NotColumns("no row in its train rows")
    if len(set(sizes.values())) > 1:
        (a, first), (b, second) = sorted(sizes.items(), key=lambda entry: entry[1])[
            :: len(sizes) - 1
        ]
        raise NotColumns(f"{first} rows of '{a}' and {second} of '{b}' in its {split} rows")


def _inputs(columns: Columns, kinds: Mapping[str, str], rest: Sequence[str]) -> dict[str, Tensor]:
    return {
        m: inputs_of(m, kind, columns[m])
        if m in columns
        else number_columns({name: columns[name] for name in rest if name in columns})
        for m, kind in kinds.items()
    }


def _names(modality: str, inputs: Mapping[str, Tensor], rest: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the numbers of a modality of cells."""
    width = inputs[modality].shape[-1]
    return tuple(rest) if len(rest) == width else tuple(f"x{i}" for i in range(width))


def _rows(
    inputs: Mapping[str, Tensor],
    columns: Columns,
    tasks: Mapping[str, Task],
    classes: Mapping[str, tuple[str, ...]],
    named: Mapping[str, tuple[str, ...]],
) -> TensorRows:
    targets, labelled = dict[str, Tensor](), dict[str, Tensor]()
    for name, task in tasks.items():
        indexed = tuple(map(str, range(len(classes[name])))) if name in named else classes[name]
        targets[name], known = targets_of(name, task, columns[name], indexed)
        if known is not None:
            labelled[name] = known
    return TensorRows(inputs, targets, labelled=labelled)
