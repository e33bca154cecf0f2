"""Inputs and targets of plain columns as tensors, with what a model needs to know of them."""

# N rows, C channels or classes

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from jlrun.data.moments import moments
from jlrun.data.plain_columns import Columns, NotColumns
from jlrun.data.specs import ImageSpec, SeriesSpec, Spec, TabularSpec
from jlrun.tasks import Binary, Multiclass, Multilabel, Ordinal, Regression, Task

_CHANNELS = (1, 3)
_NO_LABEL = -1


def inputs_of(name: str, kind: str, values: Any) -> Tensor:
    """Return the inputs of a modality as a data set holds them.

    Args:
        name: of the modality.
        kind: ``image``: ``(N, C, H, W)``, ``(N, H, W, C)`` or ``(N, H, W)``, whole numbers to 255
            or numbers in [0, 1], also images of Pillow; ``tabular``: numbers ``(N, F)`` or
            ``(N,)``, NaN where missing; ``series``: ``(N, T, C)`` or ``(N, T)``, likewise.
        values: of all rows, a tensor, an array or a list.

    Raises:
        NotColumns: if they are something else.
    """
    if kind not in ("image", "tabular", "series"):
        fix = "return a jlrun.data.Dataset, or give a frame or a file as dataset=table"
        raise NotColumns(f"{name} as plain values, which can be image, tabular or series: {fix}")
    found = stacked(name, values)
    if kind == "image":
        return _images(name, found)
    if found.is_complex() or found.ndim > (2 if kind == "tabular" else 3):
        shape = "(N, F)" if kind == "tabular" else "(N, T, C)"
        raise NotColumns(f"{name} of shape {(*found.shape,)}; expected {shape}")
    least = 2 if kind == "tabular" else 3
    if found.ndim < least - 1:
        raise NotColumns(f"{name} of shape {(*found.shape,)}; expected {least} dimensions")
    return (found if found.ndim == least else found[..., None]).double()


def stacked(name: str, values: Any) -> Tensor:
    """Return values of all rows as one tensor.

    Raises:
        NotColumns: if they are no numbers, or rows differ in shape.
    """
    if isinstance(values, Tensor):
        return values.detach().cpu()
    if isinstance(values, Sequence) and len(values) and isinstance(values[0], Tensor):
        values = [value.detach().cpu().numpy() for value in values]
    rows = values if isinstance(values, np.ndarray) else [np.asarray(value) for value in values]
    if isinstance(rows, list):
        shapes = sorted({row.shape for row in rows})
        if len(shapes) > 1:
            raise NotColumns(f"{name} of shapes {shapes[0]} and {shapes[1]}; rows need one shape")
        rows = np.stack(rows) if rows else np.zeros(0)
    if rows.dtype.kind not in "biuf":
        raise NotColumns(f"{name} that is {_example(values)}; expected numbers")
    return torch.from_numpy(np.array(rows))  # a copy: frames give arrays that are read-only


def _images(name: str, found: Tensor) -> Tensor:
    if found.ndim == 3:
        found = found[:, None]
    if found.ndim != 4:
        raise NotColumns(f"{name} of shape {(*found.shape,)}; expected (N, C, H, W)")
    if found.shape[1] not in _CHANNELS and found.shape[3] in _CHANNELS:
        found = found.permute(0, 3, 1, 2)
    if not found.numel():
        raise NotColumns(f"{name} of shape {(*found.shape,)}, which has no pixel")
    low, high = float(found.min()), float(found.max())
    most = 1 if found.is_floating_point() else 255
    if not 0 <= low <= high <= most:
        raise NotColumns(
            f"{name} with values from {low:g} to {high:g}; expected whole numbers from 0 to 255, "
            "or numbers from 0 to 1"
        )
    return (found * 255).round().byte() if found.is_floating_point() else found.byte()


def spec_of(kind: str, inputs: Tensor, names: Sequence[str], trained: Tensor) -> Spec:
    """Return the spec of a modality, with moments of the rows that are trained on."""
    if kind == "image":
        return ImageSpec(inputs.shape[1], inputs.shape[2], inputs.shape[3], (), ())
    found = [moments([part.numpy()]) for part in inputs[trained].flatten(0, -2).unbind(dim=1)]
    mean, std = tuple(each.mean for each in found), tuple(each.std for each in found)
    if kind == "tabular":
        return TabularSpec(numbers=tuple(names), mean=mean, std=std)
    return SeriesSpec(inputs.shape[1], inputs.shape[2], mean, std)


def classes_of(name: str, task: Task, columns: Sequence[Any]) -> tuple[str, ...]:
    """Return the names of a task's classes, those of all splits; of labels, their numbers.

    Raises:
        NotColumns: if a pair of inputs and targets can't hold such a task.
    """
    match task:
        case Regression():
            return ()
        case Multilabel():
            found = stacked(name, columns[0])
            return tuple(map(str, range(found.shape[1] if found.ndim == 2 else 0)))
        case Multiclass() | Binary() | Ordinal():
            labels = [value for column in columns for value in plain_values(column)]
            for label in labels:
                if not isinstance(label, str | int | float | None):
                    kind = type(label).__name__
                    raise NotColumns(f"{name} with a {kind} in a row; expected a label of each row")
            values = set(labels) - {None}
            if any(isinstance(value, str) for value in values):
                return tuple(sorted(map(str, values)))
            return tuple(str(value) for value in sorted(values))
        case _:
            kind = type(task).__name__.lower()
            raise NotColumns(f"targets of {kind} for '{name}': return a jlrun.data.Dataset")


def targets_of(
    name: str, task: Task, values: Any, classes: Sequence[str]
) -> tuple[Tensor, Tensor | None]:
    """Return the targets of a task, and which rows have one; None: all."""
    if isinstance(task, Multilabel):
        return stacked(name, values).float(), None
    if isinstance(task, Regression):
        found = stacked(name, values).double()
        known = ~found.isnan()
        return found.nan_to_num(), None if known.all() else known
    numbers: Mapping[str, int] = {label: i for i, label in enumerate(classes)}
    index = [_NO_LABEL if v is None else numbers[str(v)] for v in plain_values(values)]
    found = torch.tensor(index, dtype=torch.long)
    known = found != _NO_LABEL
    return found.clamp(min=0), None if known.all() else known


def plain_values(values: Any) -> list[Any]:
    """Return labels as values of Python; whole numbers as such, None where one is missing."""
    found = values.tolist() if isinstance(values, Tensor | np.ndarray) else list(values)
    plain = [value.item() if hasattr(value, "item") else value for value in found]
    return [_label(value) for value in plain]


def _label(value: Any) -> Any:
    if isinstance(value, float):
        if value != value:
            return None
        return int(value) if value.is_integer() else value
    return value


def number_columns(columns: Columns) -> Tensor:
    """Return columns next to each other as cells ``(N, F)``.

    Raises:
        NotColumns: if one is no number of each row.
    """
    found = [stacked(f"the column '{name}'", values) for name, values in columns.items()]
    for name, column in zip(columns, found, strict=True):
        if column.ndim != 1:
            raise NotColumns(f"the column '{name}' of shape {(*column.shape,)}; expected a number")
    return torch.stack([column.double() for column in found], dim=1)


def _example(values: Any) -> str:
    first = next(iter(values), None)
    return f"a {type(first).__name__}" if first is not None else "nothing in its first row"
