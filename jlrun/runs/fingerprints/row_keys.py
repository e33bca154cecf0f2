"""Row keys: hashes of the content of rows."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from jlrun.data.file_contents import FileContents
from jlrun.data.rows import FileRows, Rows, TensorRows
from jlrun.data.tables.cells import FileCells
from jlrun.data.tables.table_rows import TableRows
from jlrun.errors import UserError

_ROWS_AT_ONCE = 1024


def content_keys(rows: Rows, indices: Tensor, contents: FileContents) -> np.ndarray | None:
    """Return a number for the content of each row, uint64 ``(N,)``; None where it isn't known.

    Of rows in memory all bytes of the inputs count; of files all bytes of the file, which are read
    once (`FileContents`); of tables the cells of inputs, and the files that they name, if they are
    in use. So neither the place of a file nor its time of change matters.

    Args:
        rows: of a data set, not a view.
        indices: int64 ``(N,)``.
        contents: of files that were read before.

    Raises:
        UserError: if a file can't be read.
    """
    if not len(indices):
        return np.zeros(0, np.uint64)
    if isinstance(rows, TableRows):
        return _table_keys(rows, indices, contents)
    if isinstance(rows, FileRows) and rows.files is not None:
        found = (_files_key(rows.files(row), contents) for row in indices.tolist())
        return np.fromiter(found, np.uint64, len(indices))
    if isinstance(rows, TensorRows):
        return np.concatenate([_tensor_keys(rows, some) for some in indices.split(_ROWS_AT_ONCE)])
    return None


def file_keys(files: Sequence[str], contents: FileContents) -> np.ndarray:
    """Return the keys that rows of one file each have in a data set, uint64 ``(N,)``.

    Raises:
        UserError: if a file can't be read.
    """
    return np.fromiter((_files_key([f], contents) for f in files), np.uint64, len(files))


def key_of(content: bytes) -> int:
    """Return 64 bits of a hash."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def joined(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return a number for each pair of numbers, uint64 ``(N,)``; the order matters."""
    mixed = first * np.uint64(0x9E3779B97F4A7C15) + second
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    return mixed ^ (mixed >> np.uint64(32))


def _tensor_keys(rows: TensorRows, indices: Tensor) -> np.ndarray:
    batch = rows.fetch(indices)
    columns = {**{f"present {m}": x for m, x in batch.present.items()}, **batch.inputs}
    keys = np.zeros(len(indices), np.uint64)
    for name in sorted(columns):
        column = columns[name].contiguous().view(len(indices), -1).view(torch.uint8).numpy()
        found = np.fromiter((key_of(row.tobytes()) for row in column), np.uint64, len(column))
        keys = joined(keys, found)
    return keys


def _table_keys(rows: TableRows, indices: Tensor, contents: FileContents) -> np.ndarray:
    store, places = rows.store, rows.rows[indices.numpy()]
    keys = np.zeros(len(places), np.uint64)
    for _, cells in sorted(rows.cells.items()):
        for column in cells.columns:
            if isinstance(cells, FileCells) and column in store:
                texts = store.texts(column)
                names = [texts[row] for row in places.tolist()]
                files = [[os.path.join(cells.folder, name)] if name else [] for name in names]
                found = np.fromiter((_files_key(f, contents) for f in files), np.uint64, len(files))
            else:
                found = _cell_keys(rows, column, places)
            keys = joined(keys, found)
    for column in rows.unused:
        keys = joined(keys, _cell_keys(rows, column, places))
    return keys


def _cell_keys(rows: TableRows, column: str, places: np.ndarray) -> np.ndarray:
    store = rows.store
    if column not in store:
        return np.zeros(len(places), np.uint64)
    match store.description["columns"][column]["form"]:
        case "number":
            numbers = store.numbers(column)[places].astype(np.float64) + 0.0  # -0 is 0
            return np.where(np.isnan(numbers), np.nan, numbers).view(np.uint64)
        case "code":
            levels = [
                key_of(level.encode(errors="surrogatepass")) for level in store.levels(column)
            ]
            return np.array([*levels, 0], np.uint64)[store.codes(column)[places]]
        case _:
            texts = store.texts(column)
            found = (key_of(texts[row].encode(errors="surrogatepass")) for row in places.tolist())
            return np.fromiter(found, np.uint64, len(places))


def _files_key(files: Sequence[str], contents: FileContents) -> int:
    found = list[int]()
    for file in files:
        try:
            known = contents.get(file)
            found.append(contents.add(file) if known is None else known)
        except OSError as error:
            raise UserError.of(os.fspath(file), f"can't be read: {error.strerror}") from error
    return found[0] if len(found) == 1 else key_of(repr(found).encode())
