"""Writers of a table's columns to disk, in chunks of rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, Protocol

import numpy as np

from jlrun.data.tables.files.levels import level_name
from jlrun.data.tables.files.numbers import Marks, to_numbers
from jlrun.data.tables.files.store import Form, file_name


class Writer(Protocol):
    """Writer of a column."""

    def add(self, cells: Sequence[str]) -> None:
        """Add cells, all of them good."""
        ...

    def close(self) -> dict[str, Any]:
        """Complete the files, and return their description."""
        ...


# name of a new file -> the file, open for writing
Create = Callable[[str], BinaryIO]


def writer(form: Form, create: Create, name: str, marks: Marks) -> Writer:
    """Return a writer of a column of the given form."""
    match form:
        case "number":
            return _Numbers(create(file_name(name, "number")), marks)
        case "code":
            return _Codes(create(file_name(name, "code")))
        case _:
            return _Texts(create(file_name(name, "content")), create(file_name(name, "ends")))


class _Numbers:
    def __init__(self, file: BinaryIO, marks: Marks) -> None:
        self._file, self._marks = file, marks

    def add(self, cells: Sequence[str]) -> None:
        self._file.write(to_numbers(cells, self._marks, booleans=True)[0].tobytes())

    def close(self) -> dict[str, Any]:
        self._file.close()
        return {"form": "number"}


class _Codes:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._codes: dict[str, int] = {"": -1}
        self._levels: dict[str, int] = {}

    def add(self, cells: Sequence[str]) -> None:
        codes = self._codes
        for cell in cells:
            if cell not in codes:
                codes[cell] = self._levels.setdefault(level_name(cell), len(self._levels))
        self._file.write(np.array([codes[cell] for cell in cells], np.int32).tobytes())

    def close(self) -> dict[str, Any]:
        self._file.close()
        return {"form": "code", "levels": list(self._levels)}


class _Texts:
    def __init__(self, content: BinaryIO, ends: BinaryIO) -> None:
        self._content, self._ends = content, ends
        self._end = 0
        self._ends.write(np.zeros(1, np.int64).tobytes())

    def add(self, cells: Sequence[str]) -> None:
        encoded = [cell.encode() for cell in cells]
        ends = self._end + np.cumsum([len(text) for text in encoded], dtype=np.int64)
        self._ends.write(ends.tobytes())
        self._end = int(ends[-1]) if len(ends) else self._end
        self._content.write(b"".join(encoded))

    def close(self) -> dict[str, Any]:
        self._content.close()
        self._ends.close()
        return {"form": "text"}
