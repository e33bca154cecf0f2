"""Cells of a modality as tensors, read on demand from columns on disk or the files they name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from jlrun.data.reading.audio import read_audio
from jlrun.data.reading.image_files import read_picture
from jlrun.data.reading.texts import Tokenizer
from jlrun.data.specs import (
    AudioSpec,
    DateColumn,
    ImageSpec,
    SeriesSpec,
    Spec,
    TabularSpec,
    TextSpec,
)
from jlrun.data.tables.date_parts import parts_of
from jlrun.data.tables.files.conversion import CheckFile
from jlrun.data.tables.files.inputs import ColumnsOf
from jlrun.data.tables.files.levels import Levels
from jlrun.data.tables.files.media import read_array
from jlrun.data.tables.files.store import Store
from jlrun.errors import UserError, shortened
from jlrun.files.regular import why_not_regular


class Cells(Protocol):
    """The cells of a modality."""

    @property
    def columns(self) -> Sequence[str]:
        """The columns that are read; a row without a cell in any of them lacks the modality."""
        ...

    @property
    def row_bytes(self) -> int:
        """Size of a row in memory."""
        ...

    def read(self, store: Store, rows: np.ndarray) -> Tensor:
        """Return the cells of ``rows`` ``(N,)``, filler where they are missing, ``(N, ...)``."""
        ...


def cells_of(columns: ColumnsOf, spec: Spec, folder: Path) -> Cells:
    """Return the cells of the columns of a modality, in the form of ``spec``."""
    match spec:
        case ImageSpec():
            filler = torch.zeros(spec.channels, spec.height, spec.width, dtype=torch.uint8)
            return FileCells(columns.columns[0], folder, partial(read_picture, spec=spec), filler)
        case AudioSpec():
            filler = torch.zeros(spec.num_samples)
            return FileCells(columns.columns[0], folder, partial(read_audio, spec=spec), filler)
        case SeriesSpec():
            shape = (spec.length, spec.channels)
            filler = torch.full(shape, torch.nan, dtype=torch.float64)
            return FileCells(columns.columns[0], folder, partial(read_series, spec=spec), filler)
        case TextSpec():
            return TextCells(columns.columns, spec)
        case TabularSpec():
            return TabularCells(spec)


@dataclass(frozen=True)
class FileCells:
    """Files, decoded one by one."""

    column: str
    folder: Path
    decode: partial[Tensor]
    filler: Tensor

    @property
    def columns(self) -> Sequence[str]:
        """Columns of the table that are read."""
        return (self.column,)

    @property
    def row_bytes(self) -> int:
        """Memory that a row takes when it is read."""
        return self.filler.numel() * self.filler.element_size()

    def read(self, store: Store, rows: np.ndarray) -> Tensor:
        """Return the cells of some rows as a tensor, a row each."""
        names = texts_of(store, (self.column,), rows)
        return torch.stack(
            [self.decode(self.folder / name) if name else self.filler for name in names]
        )


class TextCells:
    """Texts of one or several columns, as token ids."""

    def __init__(self, columns: Sequence[str], spec: TextSpec) -> None:
        self.columns = columns
        self._spec = spec
        self._tokenizer = Tokenizer(spec)

    def __reduce__(self) -> tuple[type[TextCells], tuple[Sequence[str], TextSpec]]:
        return TextCells, (self.columns, self._spec)

    @property
    def row_bytes(self) -> int:
        """Memory that a row takes when it is read."""
        return 8 * self._spec.length

    def read(self, store: Store, rows: np.ndarray) -> Tensor:
        """Return the cells of some rows as a tensor, a row each."""
        return self._tokenizer(texts_of(store, self.columns, rows))


@dataclass(frozen=True)
class TabularCells:
    """Numbers, parts of dates, and categories."""

    spec: TabularSpec

    @property
    def columns(self) -> Sequence[str]:
        """Columns of the table that are read."""
        dates = (date.column for date in self.spec.dates)
        return (*self.spec.plain_numbers, *dates, *self.spec.categories)

    @property
    def row_bytes(self) -> int:
        """Memory that a row takes when it is read."""
        return 8 * self.spec.width

    def read(self, store: Store, rows: np.ndarray) -> Tensor:
        """Return the cells of some rows as a tensor, a row each."""
        found = np.zeros((len(rows), self.spec.width))
        numbers = len(self.spec.plain_numbers)
        for i, column in enumerate(self.spec.plain_numbers):
            found[:, i] = store.numbers(column)[rows] if column in store else np.nan
        for date in self.spec.dates:
            here = slice(numbers, numbers := numbers + len(date.parts))
            found[:, here] = _date_parts(store, date, rows)
        for i, column in enumerate(self.spec.categories, start=len(self.spec.numbers)):
            if column in store:
                found[:, i] = self._indices(store, column)[store.codes(column)[rows]]
        return torch.from_numpy(found)

    def _indices(self, store: Store, column: str) -> np.ndarray:
        """Return code in the store -> index of the level plus 1; the last is of code -1."""
        levels = self.spec.levels[self.spec.categories.index(column)]
        known = Levels(levels)
        places = (known.find(name) for name in store.levels(column))
        return np.array([*(0 if place is None else place + 1 for place in places), 0])


def _date_parts(store: Store, date: DateColumn, rows: np.ndarray) -> np.ndarray | float:
    return parts_of(date, store.numbers(date.column)[rows]) if date.column in store else np.nan


def texts_of(store: Store, columns: Sequence[str], rows: np.ndarray) -> list[str]:
    """Return the texts of each row, of several columns one after the other."""
    texts = [store.texts(column) for column in columns if column in store]
    return ["\n".join(filter(None, (column[row] for column in texts))) for row in rows.tolist()]


def presence(cells: Cells, store: Store, rows: np.ndarray) -> Tensor | None:
    """Return which of ``rows`` have a cell of the modality, Bool ``(N,)``; None if all have."""
    found = np.zeros(len(rows), dtype=bool)
    for column in cells.columns:
        if column in store:
            found |= store.filled(column)[rows]
    return None if found.all() else torch.from_numpy(found)


def presences(cells: Mapping[str, Cells], store: Store, rows: np.ndarray) -> dict[str, Tensor]:
    """Return modality -> `presence`, of those that some rows lack."""
    found = {modality: presence(c, store, rows) for modality, c in cells.items()}
    return {modality: mask for modality, mask in found.items() if mask is not None}


def read_series(path: Path, spec: SeriesSpec) -> Tensor:
    """Return a series, float64 ``(length, channels)``: cut, or padded with NaN, at the end.

    Raises:
        UserError: if it can't be read, or has another number of channels.
    """
    try:
        array = read_array(path)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError.of(str(path), f"not a readable series ({reason})") from error
    if array.shape[1] != spec.channels:
        found = f"{array.shape[1]} numbers in a step; expected {spec.channels}"
        raise UserError.of(str(path), found)
    series = torch.full((spec.length, spec.channels), torch.nan, dtype=torch.float64)
    steps = min(spec.length, len(array))
    series[:steps] = torch.from_numpy(array[:steps])
    return series


def checks(specs: Mapping[str, Spec]) -> dict[str, CheckFile]:
    """Return kind of file -> check that reads such a file and returns why it can't be used."""
    return {kind: _check_of(spec) for kind, spec in specs.items()}


def _check_of(spec: Spec) -> CheckFile:
    match spec:
        case ImageSpec():
            return _check("corrupt image", lambda path: read_picture(path, spec))
        case AudioSpec():
            return _check("unreadable audio", lambda path: read_audio(path, spec))
        case SeriesSpec():
            return _check("unreadable series", lambda path: read_series(path, spec))
        case _:
            raise AssertionError(f"no file holds {type(spec).__name__}")


def _check(reason: str, read: Callable[[Path], Tensor]) -> CheckFile:
    def check(path: Path) -> tuple[str, str] | None:
        if not os.path.isfile(path):  # os.path takes names that no file can have
            if not os.path.exists(path):
                return "missing file", f"there is no {shortened(str(path))}"
            found = "a folder" if os.path.isdir(path) else why_not_regular(path)
            return "missing file", str(found)
        try:
            read(path)
        except UserError as error:
            return reason, error.problems[0].message
        return None

    return check
