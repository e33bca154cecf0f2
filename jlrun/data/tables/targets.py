"""Targets of a table as tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from jlrun.data.tables.files.bad_rows import BadRow
from jlrun.data.tables.files.levels import Levels, level_name
from jlrun.data.tables.files.numbers import to_numbers
from jlrun.data.tables.files.store import Form, Store
from jlrun.data.tables.files.target_kinds import Target
from jlrun.data.tables.rows import Part

FORM_OF_TARGET: dict[str, Form] = {
    "multiclass": "code",
    "binary": "code",
    "ordinal": "code",
    "regression": "number",
    "multilabel": "text",
}


@dataclass(frozen=True)
class TargetColumns:
    """Targets of some rows.

    Attributes:
        targets: task -> ``(N,)`` int64 or float64, or ``(N, C)`` float32.
        labelled: task -> Bool ``(N,)``, of tasks with unlabelled rows.
        unknown: position -> row with a label outside the classes.
    """

    targets: dict[str, Tensor]
    labelled: dict[str, Tensor]
    unknown: dict[int, BadRow]


def find_classes(
    targets: Mapping[str, Target], train: Part, parts: Iterable[Part]
) -> dict[str, tuple[str, ...]]:
    """Return task -> its classes, numbers in their order; () if none.

    They are the labels of rows that training draws from; for a target whose classes are learned on
    other data, those of all ``parts``.
    """
    every = list(parts)
    return {
        task: _in_order({c for p in (every if t.optional else [train]) for c in _classes(t, p)})
        for task, t in targets.items()
    }


def _classes(target: Target, part: Part) -> set[str]:
    store, rows = part.store, part.rows
    if target.kind == "regression":
        return set()
    if target.kind == "multilabel":
        texts = store.texts(target.column)
        return {label for row in rows.tolist() for label in labels_of(texts[row])}
    codes = np.unique(store.codes(target.column)[rows])
    levels = store.levels(target.column)
    return {levels[int(code)] for code in codes if code >= 0}


def labels_of(cell: str) -> list[str]:
    """Return the labels in a cell such as ``a|b``."""
    return [level_name(label.strip()) for label in cell.split("|") if label.strip()]


def _in_order(names: Iterable[str]) -> tuple[str, ...]:
    listed = sorted(names)
    values, wrong = to_numbers(listed)
    return tuple(listed) if wrong else tuple(listed[i] for i in np.argsort(values, kind="stable"))


def read_targets(
    targets: Mapping[str, Target],
    classes: Mapping[str, Sequence[str]],
    store: Store,
    rows: np.ndarray,
) -> TargetColumns:
    """Return the targets of ``rows``; a row without a label has a filler and is not labelled."""
    found = TargetColumns({}, {}, {})
    for task, target in targets.items():
        match target.kind:
            case "regression":
                values = torch.from_numpy(store.numbers(target.column)[rows])
                known = ~values.isnan()
                found.targets[task] = values.nan_to_num(0.0)
            case "multilabel":
                known = _read_labels(found, task, target.column, classes[task], store, rows)
            case _:
                known = _read_classes(found, task, target.column, classes[task], store, rows)
        if not bool(known.all()):
            found.labelled[task] = known
    return found


def _read_classes(
    found: TargetColumns,
    task: str,
    column: str,
    classes: Sequence[str],
    store: Store,
    rows: np.ndarray,
) -> Tensor:
    known, levels = Levels(classes), store.levels(column)
    found_at = (known.find(name) for name in levels)
    index = np.array([*(-2 if i is None else i for i in found_at), -1])
    labels = index[store.codes(column)[rows]]
    for i in np.flatnonzero(labels == -2).tolist():
        name = levels[int(store.codes(column)[rows[i]])]
        found.unknown[i] = _unknown(store, rows[i], column, name)
    labels = torch.from_numpy(labels)
    found.targets[task] = labels.clamp(min=0)
    return labels >= 0


def _read_labels(
    found: TargetColumns,
    task: str,
    column: str,
    classes: Sequence[str],
    store: Store,
    rows: np.ndarray,
) -> Tensor:
    position = Levels(classes)
    texts = store.texts(column)
    found.targets[task] = torch.zeros(len(rows), len(classes))
    known = torch.zeros(len(rows), dtype=torch.bool)
    for i, row in enumerate(rows.tolist()):
        labels = labels_of(texts[row])
        known[i] = bool(texts[row])
        for label in labels:
            place = position.find(label)
            if place is not None:
                found.targets[task][i, place] = 1
            else:
                found.unknown[i] = _unknown(store, row, column, label)
    return known


def _unknown(store: Store, row: int, column: str, label: str) -> BadRow:
    detail = f"{column} is '{label}', which no training row has"
    return BadRow(int(store.places()[row]), "unknown label", detail)
