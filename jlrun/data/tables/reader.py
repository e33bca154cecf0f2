"""Reader for the files of a table, the same for training, validation and test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from jlrun.data.tables.cell_files import checks
from jlrun.data.tables.files.cache import cache_folder, stored
from jlrun.data.tables.files.conversion import Wanted
from jlrun.data.tables.files.inputs import ColumnsOf
from jlrun.data.tables.files.layout import Reading
from jlrun.data.tables.files.outline import Outline
from jlrun.data.tables.files.request import Request, folder_of
from jlrun.data.tables.files.settings import MEDIA
from jlrun.data.tables.files.store import Form
from jlrun.data.tables.input_kinds import InputKinds
from jlrun.data.tables.rows import Part, TableRows, divided, groups_of
from jlrun.data.tables.targets import FORM_OF_TARGET, find_classes, read_targets
from jlrun.errors import UserError
from jlrun.files.limits import limit

# Placeholder for the table's config path, which `jlrun.runs.datasets` fills in.
WHERE = "dataset"
_FORM_OF_COLUMN: dict[str, Form] = {"number": "number", "category": "code"}


@dataclass(frozen=True)
class Reader:
    """Reader for the files of a table.

    Attributes:
        outline: kinds of columns and targets.
        modalities: modality -> its columns.
        kinds: how inputs are read.
        reading: how the files are written.
        files_root: folder that file names are relative to; None: that of the table.
        cache: folder of converted tables.
    """

    outline: Outline
    modalities: Mapping[str, ColumnsOf]
    kinds: InputKinds
    reading: Reading
    files_root: str | None
    cache: Path

    @classmethod
    def of(cls, request: Request, outline: Outline, kinds: InputKinds, cache: str | None) -> Reader:
        """Return the reader of a table whose outline is known."""
        return cls(
            outline,
            outline.modalities(request.join_texts),
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
        check = checks({columns.kind: self.kinds.spec_of(columns) for columns in media})
        wanted = Wanted(
            path=path,
            reading=self.reading,
            forms=self._forms(),
            inputs=[name for columns in self.modalities.values() for name in columns.all],
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

    def _rows(self, part: Part, classes: Mapping[str, tuple[str, ...]]) -> TableRows:
        columns = read_targets(self.outline.targets, classes, part.store, part.rows)
        if columns.unknown:
            part = part.without(columns.unknown)
            columns = read_targets(self.outline.targets, classes, part.store, part.rows)
        return TableRows(part.store, part.rows, columns.targets, columns.labelled)

    def _forms(self) -> dict[str, Form]:
        """Return column -> how it is stored."""
        found = self.outline
        forms: dict[str, Form] = {
            name: _FORM_OF_COLUMN.get(kind, "text")
            for name, kind in found.columns.items()
            if kind != "ignore"
        }
        forms |= {target.column: FORM_OF_TARGET[target.kind] for target in found.targets.values()}
        for column in (found.split_column, found.group_by):
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
