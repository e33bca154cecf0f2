"""Columns of what a data set's function returned: tuples, mappings, frames, sets of PyTorch."""

# N rows

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

ACCEPTED = (
    "a jlrun.data.Dataset, a pair (inputs, targets), a mapping of columns, a frame, a map-style "
    "torch.utils.data.Dataset or a Dataset of Hugging Face, or a mapping from train, val and test "
    "to such"
)
_SPLITS = {"train": "train", "val": "val", "validation": "val", "test": "test"}

Columns = dict[str, Any]


class NotColumns(ValueError):
    """What a function returned has no columns of modalities and tasks; says what was found."""


def split_parts(found: Any) -> dict[str, Any]:
    """Return split -> its part: ``train``, and ``val`` and ``test`` where they are given.

    Raises:
        NotColumns: if a split is given twice.
    """
    if not isinstance(found, Mapping) or "train" not in found or not found.keys() <= _SPLITS.keys():
        return {"train": found}
    parts = {_SPLITS[str(name)]: part for name, part in found.items()}
    if len(parts) < len(found):
        raise NotColumns("both val and validation; give one")
    return parts


def columns_of(found: Any, modalities: Sequence[str], tasks: Sequence[str]) -> Columns:
    """Return name -> its values of all rows, of modalities, tasks and whatever else there is.

    Args:
        found: the rows of a split.
        modalities, tasks: names that the configuration has; a single one need not be named again.

    Raises:
        NotColumns: if ``found`` is nothing that has them.
    """
    if isinstance(found, Mapping):
        return {str(name): values for name, values in found.items()}
    if hasattr(found, "columns") and hasattr(found, "to_numpy"):  # a frame of pandas
        return {str(name): found[name].to_numpy() for name in found.columns}
    if hasattr(found, "column_names") and hasattr(found, "features"):  # of Hugging Face
        return {name: list(found[name]) for name in found.column_names}
    if isinstance(found, tuple | list):
        return _pair(found, modalities, tasks)
    is_set = hasattr(found, "__getitem__") and hasattr(found, "__len__")
    if not is_set or hasattr(found, "shape") or isinstance(found, str):
        raise NotColumns(f"{type(found).__name__}; expected {ACCEPTED}")
    return _transposed([_row(found[i], modalities, tasks) for i in range(len(found))])


def class_names(found: Any) -> dict[str, tuple[str, ...]]:
    """Return column -> names of its classes, of a Dataset of Hugging Face that has them."""
    features = getattr(found, "features", None)
    if not isinstance(features, Mapping):
        return {}
    named = {str(name): getattr(feature, "names", None) for name, feature in features.items()}
    return {name: tuple(names) for name, names in named.items() if names}


def _row(row: Any, modalities: Sequence[str], tasks: Sequence[str]) -> Columns:
    if isinstance(row, Mapping):
        return {str(name): value for name, value in row.items()}
    if isinstance(row, tuple | list):
        return _pair(row, modalities, tasks)
    raise NotColumns(f"rows that are a {type(row).__name__}; expected (inputs, targets), or names")


def _pair(found: Sequence[Any], modalities: Sequence[str], tasks: Sequence[str]) -> Columns:
    if len(found) != 2:
        raise NotColumns(f"a {type(found).__name__} of {len(found)}; expected (inputs, targets)")
    inputs, targets = found
    return dict(_named(inputs, modalities, "inputs")) | dict(_named(targets, tasks, "targets"))


def _named(values: Any, names: Sequence[str], what: str) -> Iterator[tuple[str, Any]]:
    if isinstance(values, Mapping):
        yield from ((str(name), entry) for name, entry in values.items())
    elif len(names) == 1:
        yield names[0], values
    else:
        raise NotColumns(
            f"{what} that are a {type(values).__name__}; expected a mapping with {', '.join(names)}"
        )


def _transposed(rows: Sequence[Columns]) -> Columns:
    if not rows:
        raise NotColumns("no row")
    names = rows[0].keys()
    for number, row in enumerate(rows):
        if row.keys() != names:
            raise NotColumns(
                f"row {number} with {', '.join(row) or 'nothing'}; row 0 has {', '.join(names)}"
            )
    return {name: [row[name] for row in rows] for name in names}
