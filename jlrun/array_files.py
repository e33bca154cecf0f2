"""Array files of NumPy; nothing that a file pickles is executed."""

from __future__ import annotations

import tokenize
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

# What NumPy's readers run into in a damaged file.
_DAMAGED = (EOFError, LookupError, MemoryError, OverflowError, SyntaxError, TypeError)


def load_array(path: Path) -> np.ndarray:
    """Return the array in a ``.npy`` file.

    Raises:
        OSError: if the file can't be read.
        ValueError: if it holds no array, or objects.
    """
    try:
        with path.open("rb") as file:  # which NumPy leaves open where reading fails
            found = np.load(file, allow_pickle=False)
    except (*_DAMAGED, tokenize.TokenError, BadZipFile) as error:
        raise ValueError(_reason(error)) from error
    if not isinstance(found, np.ndarray):
        raise ValueError("it is an archive of arrays, not one array")
    return found


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays in a ``.npz`` file by their names.

    Raises:
        OSError: if the file can't be read.
        ValueError: if it is no such archive, or one of them holds objects.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return dict(archive)
    except (*_DAMAGED, AttributeError, tokenize.TokenError, BadZipFile) as error:
        raise ValueError(_reason(error)) from error
    except Exception as error:  # zlib.error, and whatever else unpacking damaged bytes raises
        if isinstance(error, OSError | ValueError):
            raise
        raise ValueError(_reason(error)) from error


def _reason(error: Exception) -> str:
    return "damaged, or not all of it: " + (" ".join(str(error).split()) or type(error).__name__)
