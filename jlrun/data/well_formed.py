"""Check of what a user's data set function returns, before it is used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from torch import Tensor

from jlrun.data.dataset import Dataset
from jlrun.data.specs import Spec
from jlrun.errors import Problem, UserError

_ROWS = ("targets", "labelled", "num_bytes", "fetch", "__len__")


def well_formed(found: Any, target: str, where: str) -> Dataset:
    """Return the data set, after a check of its type and parts.

    Args:
        found: what the function returned.
        target: path of the function.
        where: config path of the data set, for errors.

    Raises:
        UserError: if it is not a `Dataset`, or its parts have other types.
    """
    if not isinstance(found, Dataset):
        expected = "jlrun.data.dataset.Dataset(train, modalities, classes)"
        message = f"'{target}' returned {_kind(found)}, and must return a {expected}"
        raise UserError.of(f"{where}._target_", message)
    problems = [*_wrong_rows(found), *_wrong_names(found)]
    if problems:
        wrong = [
            Problem(f"{where}._target_", f"of what '{target}' returned, {p}") for p in problems
        ]
        raise UserError(wrong)
    return found


def _wrong_rows(dataset: Dataset) -> Iterator[str]:
    for split in ("train", "val", "test"):
        rows = getattr(dataset, split)
        if rows is None and split != "train":
            continue
        lacking = [name for name in _ROWS if not hasattr(rows, name)]
        if rows is None or lacking:
            fix = "make rows with jlrun.data.rows.TensorRows or FileRows"
            yield f"{split} is {_kind(rows)}, which has no {', '.join(lacking)}; {fix}"
            continue
        for task in dataset.classes if isinstance(dataset.classes, Mapping) else ():
            if not isinstance(rows.targets.get(task), Tensor):
                yield f"{split} has no tensor of targets for the task '{task}'"


def _wrong_names(dataset: Dataset) -> Iterator[str]:
    if not isinstance(dataset.modalities, Mapping) or not dataset.modalities:
        yield f"modalities is {_kind(dataset.modalities)}; expected a modality -> its spec"
    else:
        for name, spec in dataset.modalities.items():
            if not isinstance(spec, get_args(Spec)):
                kinds = ", ".join(kind.__name__ for kind in get_args(Spec))
                yield f"modalities['{name}'] is {_kind(spec)}; expected one of {kinds}"
    if not isinstance(dataset.classes, Mapping) or not dataset.classes:
        yield f"classes is {_kind(dataset.classes)}; expected a task -> the names of its classes"
        return
    for task, names in dataset.classes.items():
        if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
            yield f"classes['{task}'] is {_kind(names)}; expected a tuple of names"


def _kind(found: Any) -> str:
    """Return the type of an object in words."""
    if found is None:
        return "nothing"
    size = f" of {len(found)}" if isinstance(found, tuple | list | dict) else ""
    return f"{type(found).__name__}{size}" if size else f"a {type(found).__name__}"
