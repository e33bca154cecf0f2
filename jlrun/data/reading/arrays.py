"""NumPy files: their headers are checked against file size and memory before reading."""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from jlrun.errors import UserError
from jlrun.files.limits import check_room, size_text
from jlrun.files.regular import check_regular

_BROKEN = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    SyntaxError,  # of a header
    TypeError,
    tokenize.TokenError,
    RecursionError,
    MemoryError,
    RuntimeError,  # of an encrypted archive
    NotImplementedError,  # of an unknown compression
    zipfile.BadZipFile,
    zlib.error,
)


class ArrayFileError(ValueError):
    """The file has no arrays, or less data than its header states."""


def load_array(path: Path) -> np.ndarray:
    """Return the array of a ``.npy`` file; nothing that a file pickles is executed.

    Raises:
        ArrayFileError: if it has no array, or less data than its header states.
        UserError: if it is not a regular file, or exceeds the memory budget for files.
    """
    check_regular(path)
    try:
        with path.open("rb") as file:
            num_bytes = _promised(file)
            _check_promise(num_bytes, path.stat().st_size - file.tell())
            check_room(path, num_bytes, "an array")
            file.seek(0)
            return np.lib.format.read_array(file, allow_pickle=False)
    except UserError:
        raise
    except _BROKEN as error:
        raise ArrayFileError(_reason(error)) from error


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a ``.npz`` file by name.

    Raises:
        ArrayFileError, UserError: as `load_array`, of all arrays together.
    """
    check_regular(path)
    try:
        with zipfile.ZipFile(path) as archive:
            total = sum(member.file_size for member in archive.infolist())
            check_room(path, total, "arrays")
            for member in archive.infolist():
                with archive.open(member) as opened:
                    file = cast(BinaryIO, opened)
                    num_bytes = _promised(file)
                    _check_promise(num_bytes, member.file_size - file.tell())
        with np.load(path, allow_pickle=False) as found:
            return dict(found)
    except UserError:
        raise
    except _BROKEN as error:
        raise ArrayFileError(_reason(error)) from error


def _promised(file: BinaryIO) -> int:
    """Return the size in bytes by the header; leaves the file at the start of the data."""
    form: Any = np.lib.format
    version = form.read_magic(file)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise ArrayFileError(f"unknown version {version}")
    # Version 3 differs from 2 only in the header's encoding.
    read = form.read_array_header_1_0 if version == (1, 0) else form.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.hasobject:
        raise ArrayFileError("it has Python objects, which are never read")
    return math.prod(shape) * dtype.itemsize


def _check_promise(promised: int, held: int) -> None:
    if promised < 0 or promised > held:
        raise ArrayFileError(
            f"its header states {size_text(promised)}, the file has {size_text(held)}"
        )


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
