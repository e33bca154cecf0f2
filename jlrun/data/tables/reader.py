"""Reader for the files of a table and their targets, for training, validation and test."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from jlrun.data.tables.cells import checks
from jlrun.data.tables.files.bad_rows import BadRow
from jlrun.data.tables.files.cache import cache_folder, stored
from jlrun.data.tables.files.conversion import Wanted
from jlrun.data.tables.files.inputs import MEDIA, ColumnsOf
from jlrun.data.tables.files.kinds import Target
from jlrun.data.tables.files.labels import DEFAULT_SEPARATOR, split_labels
from jlrun.data.tables.files.layout import Reading
from jlrun.data.tables.files.levels import Levels, level_name
from jlrun.data.tables.files.numbers import to_numbers
from jlrun.data.tables.files.outline import Outline
from jlrun.data.tables.files.request import Request, folder_of
from jlrun.data.tables.files.store import Form, Store
from jlrun.data.tables.fitting import InputKinds
from jlrun.data.tables.table_rows import Part, TableRows, divided, groups_of
from jlrun.data.tables.times import times_of
from jlrun.errors import UserError
from jlrun.files.limits import limit

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
        return {label for row in rows.tolist() for label in labels_of(texts[row], target)}
    codes = np.unique(store.codes(target.column)[rows])
    levels = store.levels(target.column)
    return {levels[int(code)] for code in codes if code >= 0}


def labels_of(cell: str, target: Target) -> list[str]:
    """Return the labels in a cell such as ``a|b``."""
    return [level_name(x) for x in split_labels(cell, target.separator or DEFAULT_SEPARATOR)]


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
                known = _read_labels(found, task, target, classes[task], store, rows)
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
    target: Target,
    classes: Sequence[str],
    store: Store,
    rows: np.ndarray,
) -> Tensor:
    position = Levels(classes)
    texts = store.texts(target.column)
    found.targets[task] = torch.zeros(len(rows), len(classes))
    known = torch.zeros(len(rows), dtype=torch.bool)
    for i, row in enumerate(rows.tolist()):
        labels = labels_of(texts[row], target)
        known[i] = bool(texts[row])
        for label in labels:
            place = position.find(label)
            if place is not None:
                found.targets[task][i, place] = 1
            else:
                found.unknown[i] = _unknown(store, row, target.column, label)
    return known


def _unknown(store: Store, row: int, column: str, label: str) -> BadRow:
    detail = f"{column} is '{label}', which no training row has"
    return BadRow(int(store.places()[row]), "unknown label", detail)


# Placeholder for the table's config path, which `jlrun.runs.datasets` fills in.
WHERE = "dataset"
_FORM_OF_COLUMN: dict[str, Form] = {"number": "number", "date": "date", "category": "code"}


@dataclass(frozen=True)
class Reader:
    """Reader for the files of a table.

    Attributes:
        outline: kinds of columns and targets.
        modalities: modality in use -> its columns.
        unused: columns of inputs that are not in use; they only tell rows from each other.
        kinds: how inputs are read.
        reading: how the files are written.
        files_root: folder that file names are relative to; None: that of the table.
        cache: folder of converted tables.
    """

    outline: Outline
    modalities: Mapping[str, ColumnsOf]
    unused: tuple[str, ...]
    kinds: InputKinds
    reading: Reading
    files_root: str | None
    cache: Path

    @classmethod
    def of(
        cls,
        request: Request,
        outline: Outline,
        kinds: InputKinds,
        cache: str | None,
        in_use: Collection[str] | None = None,
    ) -> Reader:
        """Return the reader of a table whose outline is known, for the modalities in use."""
        found = outline.modalities(request.join_texts)
        used = {m: c for m, c in found.items() if in_use is None or m in in_use}
        return cls(
            outline,
            used,
            tuple(name for m, c in found.items() if m not in used for name in c.all),
            replace(kinds, image=outline.image, audio=outline.audio, series=outline.series),
            outline.reading,
            request.files_root,
            cache_folder(cache),
        )

    def whole(self, path: Path) -> Part:
        """Return all good rows of a file.

        Raises:
            UserError: if it can't be read, or lacks a column.
        """
        media = [columns for columns in self.modalities.values() if columns.kind in MEDIA]
        inputs = [name for columns in self.modalities.values() for name in columns.all]
        check = checks({columns.kind: self.kinds.spec_of(columns) for columns in media})
        wanted = Wanted(
            path=path,
            reading=self.reading,
            forms=self._forms(),
            inputs=[*inputs, *self.unused],
            files={columns.columns[0]: check[columns.kind] for columns in media},
            files_key=str([self.kinds.image, self.kinds.audio, self.kinds.series, limit()]),
            folder=folder_of(path, self.files_root),
            may_lack=frozenset(t.column for t in self.outline.targets.values() if t.optional),
        )
        return Part.whole(stored(wanted, self.cache, WHERE))

    def rows_of(
        self, wholes: Mapping[str, Part]
    ) -> tuple[dict[str, TableRows], dict[str, tuple[str, ...]]]:
        """Return split -> rows with their targets, and task -> its classes.

        Rows with a label that no training row has become bad rows.

        Raises:
            UserError: if there are no rows for training.
        """
        parts, column = wholes, self.outline.split_column
        if column is not None:
            parts = divided(wholes["train"], column)
        if "train" not in parts:
            raise _without_training_rows(wholes["train"], column)
        train = parts["train"]
        classes = find_classes(self.outline.targets, train, parts.values())
        return {split: self._rows(part, classes) for split, part in parts.items()}, classes

    def groups(self, rows: TableRows) -> torch.Tensor | None:
        """Return the group of each row, where rows of a group are to stay together."""
        column = self.outline.group_by
        return None if column is None else torch.from_numpy(groups_of(rows, column))

    def times(self, rows: TableRows) -> torch.Tensor | None:
        """Return the time of each row, where rows are divided by it."""
        column = self.outline.time_by
        if column is None:
            return None
        return torch.from_numpy(times_of(rows, column, f"{WHERE}.time_by"))

    def _rows(self, part: Part, classes: Mapping[str, tuple[str, ...]]) -> TableRows:
        columns = read_targets(self.outline.targets, classes, part.store, part.rows)
        if columns.unknown:
            part = part.without(columns.unknown)
            columns = read_targets(self.outline.targets, classes, part.store, part.rows)
        return TableRows(
            part.store, part.rows, columns.targets, columns.labelled, unused=self.unused
        )

    def _forms(self) -> dict[str, Form]:
        """Return column -> how it is stored."""
        found = self.outline
        forms: dict[str, Form] = {
            name: "text" if name in self.unused else _FORM_OF_COLUMN.get(kind, "text")
            for name, kind in found.columns.items()
            if kind != "ignore"
        }
        forms |= {target.column: FORM_OF_TARGET[target.kind] for target in found.targets.values()}
        for column in (found.split_column, found.group_by, found.time_by):
            if column is not None:
                _check_split_column(column, forms)
                forms[column] = "code"
        return forms


def _check_split_column(column: str, forms: Mapping[str, Form]) -> None:
    """Check that the column that divides the rows is not a target of numbers or labels."""
    if forms.get(column, "code") != "code":
        fix = "copy the column under another name"
        raise UserError.of(WHERE, f"'{column}' is a target of numbers or labels too; {fix}")


def _without_training_rows(whole: Part, column: str | None) -> UserError:
    assert column is not None
    if not len(whole.rows):
        return UserError(whole.bad.problems())
    seen = ", ".join(whole.store.levels(column)[:10])
    return UserError.of(f"{WHERE}.split_column", f"no row has train in '{column}'; it has {seen}")
