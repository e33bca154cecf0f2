"""Store of a table: columns on disk, written in chunks of rows, read by row on demand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol

import numpy as np

from jlrun.data.tables.files.bad_rows import BadRow, BadRows
from jlrun.data.tables.files.dates import Order, to_dates
from jlrun.data.tables.files.layout import Reading
from jlrun.data.tables.files.levels import level_name
from jlrun.data.tables.files.numbers import Marks, to_numbers
from jlrun.files.bounded_text import read_json

Form = Literal["number", "date", "code", "text"]
DESCRIPTION = "table.json"
PLACES = "places"
# Endings of the files of a column; codes and numbers have an entry for each row.
_TYPES: dict[str, Any] = {"number": np.float64, "code": np.int32}


@dataclass(frozen=True)
class Texts:
    """Texts one after the other.

    Attributes:
        ends: int64 ``(N + 1,)``, the start of each text, and the end of the last.
        content: uint8, UTF-8.
    """

    ends: np.ndarray
    content: np.ndarray

    def __getitem__(self, row: int) -> str:
        return self.content[self.ends[row] : self.ends[row + 1]].tobytes().decode()


class Store:
    """The good rows of a table, in a folder that `convert` wrote.

    It may be sent to other processes, which open the files themselves.

    Args:
        folder: of the columns.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[type[Store], tuple[Path]]:
        return Store, (self.folder,)

    @cached_property
    def description(self) -> Mapping[str, Any]:
        """Description of the columns that `convert` wrote."""
        return read_json(self.folder / DESCRIPTION)

    def __len__(self) -> int:
        return self.description["num_rows"]

    @property
    def num_read(self) -> int:
        """Number of rows in the file, bad ones included."""
        return len(self) + self.bad().num_rows

    def bad(self) -> BadRows:
        """Return the bad rows of the file."""
        found = BadRows(Path(self.description["path"]))
        found.extend([BadRow(*row) for row in self.description["bad"]])
        return found

    @cached_property
    def _columns(self) -> dict[str, Any]:
        return {}

    def __contains__(self, column: str) -> bool:
        return column in self.description["columns"]

    @property
    def words(self) -> Mapping[str, Mapping[str, int]]:
        """Column -> word that was taken for missing -> cells."""
        return self.description["words"]

    @property
    def absent(self) -> Sequence[str]:
        """Columns that the file lacks."""
        return self.description["absent"]

    def places(self) -> np.ndarray:
        """Return the place of each row in the file, int64 ``(N,)``."""
        return self._mapped(PLACES, "", np.int64)

    def numbers(self, column: str) -> np.ndarray:
        """Return a column of numbers, float64 ``(N,)``, NaN where missing; of dates, the seconds
        since 1970."""
        return self._mapped(column, "number", np.float64)

    def codes(self, column: str) -> np.ndarray:
        """Return a column of positions in `levels`, int32 ``(N,)``, -1 where missing."""
        return self._mapped(column, "code", np.int32)

    def levels(self, column: str) -> Sequence[str]:
        """Return the different cells of a column of codes, in the order of their first rows."""
        return self.description["columns"][column]["levels"]

    def texts(self, column: str) -> Texts:
        """Return a column of texts."""
        return Texts(
            self._mapped(column, "ends", np.int64), self._mapped(column, "content", np.uint8)
        )

    def filled(self, column: str) -> np.ndarray:
        """Return whether each row has a cell in the column, Bool ``(N,)``."""
        match self.description["columns"][column]["form"]:
            case "number":
                return ~np.isnan(self.numbers(column))
            case "code":
                return self.codes(column) >= 0
            case _:
                return np.diff(self.texts(column).ends) > 0

    def _mapped(self, column: str, what: str, dtype: Any) -> np.ndarray:
        key = f"{column}.{what}"
        if key not in self._columns:
            file = self.folder / file_name(self.description["names"].get(column, column), what)
            empty = file.stat().st_size == 0  # which can't be mapped
            self._columns[key] = np.empty(0, dtype) if empty else np.memmap(file, dtype, "r")
        return self._columns[key]


def file_name(column: str, what: str) -> str:
    """Return the name of a file of a column."""
    return f"{column}.{what}" if what else column


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


def writer(form: Form, create: Create, name: str, column: str, reading: Reading) -> Writer:
    """Return a writer of a column of the given form, to files of the given name."""
    match form:
        case "number":
            return _Numbers(create(file_name(name, "number")), reading.marks(column))
        case "date":
            return _Dates(create(file_name(name, "number")), reading.dates(column))
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


class _Dates:
    def __init__(self, file: BinaryIO, order: Order | None) -> None:
        self._file = file
        self._order: Order | None = order

    def add(self, cells: Sequence[str]) -> None:
        self._file.write(to_dates(cells, self._order)[0].tobytes())

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
