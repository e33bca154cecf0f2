"""Columns that write predictions: decision, probabilities and interval of a task."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from jlrun.evaluation.conformal import Interval
from jlrun.tasks import TaskSpec

LABEL_MARK = "|"  # as in cells of tables


def prediction_columns(
    spec: TaskSpec,
    probabilities: Tensor,
    interval: Interval | None = None,
    every_class: bool = True,
) -> dict[str, list[Any]]:
    """Return name -> cells of the predictions of a task without maps; None where one is NaN.

    ``<task>`` is the decision: the class, the labels as ``a|b``, or the number. Exclusive classes
    have ``<task>_probability``, that of the decision; numbers ``<task>_lower`` and
    ``<task>_upper``. Probabilities have six significant digits.

    Args:
        spec: the task.
        probabilities: ``(N, C)`` as `Task.probabilities` gives them.
        interval: of a regression; None: no ends.
        every_class: whether each class has a column ``<task>_p_<class>``.
    """
    if not spec.classes:
        return _numbers(spec.name, probabilities[:, 0].double(), interval)
    known, decided = ~probabilities.isnan().any(dim=1), spec.task.decide(probabilities)
    columns = {spec.name: target_cells(spec, decided, known)}
    if decided.ndim == 1:
        of_decided = probabilities.gather(1, decided.long()[:, None])[:, 0]
        columns[f"{spec.name}_probability"] = _rounded(of_decided)
    if every_class:
        for name, column in zip(spec.classes, probabilities.T, strict=True):
            columns[f"{spec.name}_p_{name}"] = _rounded(column)
    return columns


def target_cells(spec: TaskSpec, targets: Tensor, known: Tensor) -> list[Any]:
    """Return the cells of targets in the form of `Task.decide`; None where not ``known`` ``(N,)``.

    Classes are given by their names, labels as ``a|b``.
    """
    if not spec.classes:
        cells = targets.double().tolist()
    elif targets.ndim == 1:
        cells = [spec.classes[index] for index in targets.long().tolist()]
    else:
        cells = [_labels(spec, row) for row in targets.tolist()]
    return [cell if there else None for cell, there in zip(cells, known.tolist(), strict=True)]


def _labels(spec: TaskSpec, row: list[float]) -> str:
    return LABEL_MARK.join(name for name, on in zip(spec.classes, row, strict=True) if on)


def _numbers(name: str, values: Tensor, interval: Interval | None) -> dict[str, list[Any]]:
    columns = {name: _plain(values)}
    if interval is not None:
        lower, upper = interval.around(values)
        columns |= {f"{name}_lower": _plain(lower), f"{name}_upper": _plain(upper)}
    return columns


def _plain(values: Tensor) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values.tolist()]


def _rounded(values: Tensor) -> list[float | None]:
    return [None if value is None else float(f"{value:.6g}") for value in _plain(values)]
