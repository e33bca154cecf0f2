"""Conversion of a table to columns on disk, in one pass and without bad rows."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from jlrun.data.tables.files.bad_rows import THOUSANDS, BadRows
from jlrun.data.tables.files.dates import to_dates
from jlrun.data.tables.files.layout import Chunk, Reading
from jlrun.data.tables.files.numbers import has_groups, to_numbers
from jlrun.data.tables.files.reading import read_chunks
from jlrun.data.tables.files.store import DESCRIPTION, PLACES, Form, Store, Writer, writer
from jlrun.errors import UserError

# More bad rows than this mean that the file is read in a wrong way.
_MOST_BAD = 1_000_000

# path of a file -> reason why it can't be used, and detail; None: it can
CheckFile = Callable[[Path], tuple[str, str] | None]


@dataclass(frozen=True)
class Wanted:
    """Columns to read from a table.

    Attributes:
        path: the file.
        reading: how it is written.
        forms: column -> how it is stored.
        inputs: columns of which a row must have at least one.
        files: column of file names -> check of such a file.
        files_key: all else that the checks depend on.
        folder: file names are relative to it.
        optional: whether the file may lack columns.
        may_lack: further columns that the file may lack.
    """

    path: Path
    reading: Reading
    forms: Mapping[str, Form]
    inputs: Sequence[str]
    files: Mapping[str, CheckFile]
    files_key: str
    folder: Path
    optional: bool = False
    may_lack: frozenset[str] = frozenset()


def convert(wanted: Wanted, folder: Path, where: str) -> None:
    """Write the columns of a table into an empty folder.

    Raises:
        UserError: if the table can't be read, or lacks a column.
        OSError: if the folder can't be written.
    """
    bad, num_rows = BadRows(wanted.path), 0
    absent, words = list(wanted.forms), dict[str, Counter[str]]()
    names = {column: f"c{i}" for i, column in enumerate(wanted.forms)}
    with ExitStack() as stack:

        def create(name: str) -> BinaryIO:
            return stack.enter_context((folder / name).open("wb"))

        places = create(PLACES)
        pool = stack.enter_context(ThreadPoolExecutor(os.cpu_count() or 1))
        columns = {
            column: writer(form, create, names[column], column, wanted.reading)
            for column, form in wanted.forms.items()
        }
        for chunk in read_chunks(wanted.path, wanted.reading, bad, where):
            _check_columns(wanted, chunk, where)
            for column in chunk.words.keys() & wanted.forms.keys():
                words.setdefault(column, Counter()).update(chunk.words[column])
            good = _good_rows(wanted, chunk, bad, pool)
            num_rows += len(good)
            places.write(np.array([chunk.places[i] for i in good], np.int64).tobytes())
            _write(columns, chunk, good)
            if len(bad) > _MOST_BAD:
                bad.check(num_rows + bad.num_rows, f"{where}.on_error", f"{where}.on_error=skip")
            absent = [column for column in absent if column not in chunk.cells]
        described = {column: column_writer.close() for column, column_writer in columns.items()}
    description = {
        "path": str(wanted.path),
        "num_rows": num_rows,
        "names": names,
        "columns": described,
        "absent": absent,
        "words": {column: words[column] for column in wanted.forms if column in words},
        "bad": [[row.place, row.reason, row.detail] for row in bad.rows],
        "files": None,
    }
    _describe(folder, description)
    if wanted.files:
        _describe(folder, {**description, "files": state_of_files(Store(folder), wanted)})


def _describe(folder: Path, description: Mapping[str, object]) -> None:
    text = json.dumps(description, ensure_ascii=False)
    (folder / DESCRIPTION).write_text(text, encoding="utf-8")


def _check_columns(wanted: Wanted, chunk: Chunk, where: str) -> None:
    """Check that a table has the wanted columns, where its format has a header."""
    if wanted.optional or wanted.path.suffix.lower() in (".jsonl", ".ndjson"):
        return
    for column in wanted.forms:
        if column not in chunk.cells and column not in wanted.may_lack:
            there = ", ".join(chunk.cells)
            message = f"'{wanted.path.name}' has no column '{column}'; it has {there}"
            raise UserError.of(where, message)


def _write(columns: Mapping[str, Writer], chunk: Chunk, good: Sequence[int]) -> None:
    for column, column_writer in columns.items():
        cells = chunk.cells.get(column)
        column_writer.add([""] * len(good) if cells is None else [cells[i] for i in good])


def _good_rows(
    wanted: Wanted, chunk: Chunk, bad: BadRows, pool: ThreadPoolExecutor
) -> Sequence[int]:
    """Return the positions of the good rows; the others go to ``bad``."""
    wrong = set[int]()
    for position, reason, detail in _mistakes(wanted, chunk, pool):
        bad.add(chunk.places[position], reason, detail)
        wrong.add(position)
    columns = [chunk.cells[name] for name in wanted.inputs if name in chunk.cells]
    for position in range(len(chunk.places)):
        if position not in wrong and not any(cells[position] for cells in columns):
            bad.add(chunk.places[position], "no input", "every cell of an input is missing")
            wrong.add(position)
    if not wrong:
        return range(len(chunk.places))
    return [i for i in range(len(chunk.places)) if i not in wrong]


def _mistakes(
    wanted: Wanted, chunk: Chunk, pool: ThreadPoolExecutor
) -> Iterator[tuple[int, str, str]]:
    for column, form in wanted.forms.items():
        cells = chunk.cells.get(column, ())
        if form == "number":
            for i in to_numbers(cells, wanted.reading.marks(column), booleans=True)[1]:
                reason = THOUSANDS if has_groups(cells[i]) else "not a number"
                yield i, reason, f"{column} is '{cells[i][:40]}'"
        if form == "date":
            for i in to_dates(cells, wanted.reading.dates(column))[1]:
                yield i, "not a date", f"{column} is '{cells[i][:40]}'"
        if column in wanted.files:
            check = wanted.files[column]
            named = [i for i, cell in enumerate(cells) if cell]
            found = pool.map(check, [wanted.folder / cells[i] for i in named])
            for i, mistake in zip(named, found, strict=True):
                if mistake is not None:
                    yield i, mistake[0], f"{column} is '{cells[i]}': {mistake[1]}"


def state_of_files(store: Store, wanted: Wanted) -> str | None:
    """Return a hash of names, sizes and times of all files that a table names; None: no files."""
    if not wanted.files:
        return None
    digest = hashlib.sha256()
    for column in wanted.files:
        texts = store.texts(column)
        for row in range(len(store)):
            name = texts[row]
            try:
                state = os.stat(wanted.folder / name) if name else None
            except OSError:
                digest.update(b"missing")
                continue
            digest.update(f"{name} {state and (state.st_size, state.st_mtime_ns)}".encode())
    return digest.hexdigest()
