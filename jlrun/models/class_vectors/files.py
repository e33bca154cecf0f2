"""Tables of class vectors in YAML, CSV and NumPy files."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from jlrun.data.reading.arrays import ArrayFileError, load_array, load_arrays
from jlrun.errors import UserError
from jlrun.files.bounded_text import MOST_SAVED, check_expansion
from jlrun.files.regular import check_regular
from jlrun.wording import counted

FORMATS = (".yaml", ".yml", ".csv", ".npy", ".npz")


@dataclass(frozen=True)
class Table:
    """Content of a file.

    Attributes:
        classes: names of the rows.
        attributes: names of the columns.
        values: float64 ``(rows, columns)``, finite.
    """

    classes: tuple[str, ...]
    attributes: tuple[str, ...]
    values: Tensor


def read_table(path: Path, classes: Sequence[str], where: str) -> Table:
    """Read a table of class vectors; that of a ``.npy`` file has a row for each of ``classes``.

    Args:
        path: YAML: class -> numbers, attribute -> number, or the attributes it has. CSV: a header,
            then the class and its numbers in each line. npz: ``classes`` and ``vectors``.
        classes: the data set's names, in its order.
        where: config path, for errors.

    Raises:
        UserError: if the file is missing or not such a table.
    """
    if not path.exists():
        raise UserError.of(where, f"there is no file '{path}'")
    check_regular(path, where)
    try:
        match path.suffix.lower():
            case ".csv":
                return _csv(path, where)
            case ".npy" | ".npz":
                return _numpy(path, classes, where)
            case _:
                return table_of(_yaml(path, where), where, f"'{path}'")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError.of(where, f"'{path}' cannot be read: {error}") from error


def table_of(content: Mapping[str, Any], where: str, what: str) -> Table:
    """Return the table that class -> description is.

    Args:
        content: all descriptions of one form: numbers; attribute -> number; or names of attributes.
        where: config path, and ``what`` the table is called, for errors.

    Raises:
        UserError: for another form, or if classes differ in their attributes.
    """
    if not content:
        raise UserError.of(where, f"{what} is empty")
    if all(isinstance(row, Mapping) for row in content.values()):
        return _of_mappings(content, where, what)
    if not all(isinstance(row, list | tuple) for row in content.values()):
        raise UserError.of(
            where, f"{what}: give each class a list of numbers, or attribute: number, or names"
        )
    if all(isinstance(item, str) for row in content.values() for item in row):
        names = tuple(dict.fromkeys(item for row in content.values() for item in row))
        rows = [[float(name in row) for name in names] for row in content.values()]
        return _table(list(content), names, rows, where, what)
    lengths = {name: len(row) for name, row in content.items()}
    first = next(iter(lengths.values()))
    for name, length in lengths.items():
        if length != first:
            raise UserError.of(where, f"{what}: '{name}' has {length} numbers, others {first}")
    names = tuple(str(i) for i in range(first))
    return _table(list(content), names, list(content.values()), where, what)


def _of_mappings(content: Mapping[str, Any], where: str, what: str) -> Table:
    names = tuple(dict.fromkeys(str(key) for row in content.values() for key in row))
    rows = []
    for label, row in content.items():
        known = {str(key): value for key, value in row.items()}
        for name in names:
            if name not in known:
                raise UserError.of(where, f"{what}: '{label}' lacks the attribute '{name}'")
        rows.append([known[name] for name in names])
    return _table(list(content), names, rows, where, what)


def _yaml(path: Path, where: str) -> dict[str, Any]:
    import yaml

    check_expansion(path, MOST_SAVED)
    text, loader = path.read_text(encoding="utf-8"), None
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise UserError.of(
                where, f"'{path}' is not a table: expected class: values in each line"
            )
        # Names as they are written: YAML would read a class 7 as a number and `no` as false.
        names = [str(key.value) for key, _ in node.value]
        _check_unique(names, where, f"'{path}'", "class")
        rows = [loader.construct_object(value, deep=True) for _, value in node.value]  # pyright: ignore
    except UserError:
        raise
    # Of a name that is no name, a date without such a day, lists in lists without end.
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise UserError.of(where, f"'{path}' is not valid YAML: {reason}") from error
    finally:
        if loader is not None:
            loader.dispose()
    return dict(zip(names, rows, strict=True))


def _csv(path: Path, where: str) -> Table:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [line for line in csv.reader(file) if line]
    except csv.Error as error:
        raise UserError.of(where, f"'{path}' is not a CSV table: {error}") from error
    if len(lines) < 2 or len(lines[0]) < 2:
        raise UserError.of(where, f"'{path}': expected a header, then a class and numbers per line")
    attributes = tuple(name.strip() for name in lines[0][1:])
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(lines[0]):
            found = f"row {number} has {counted(len(line), 'cell')}, the header {len(lines[0])}"
            raise UserError.of(where, f"'{path}': {found}")
    rows = [line[1:] for line in lines[1:]]
    return _table([line[0].strip() for line in lines[1:]], attributes, rows, where, f"'{path}'")


def _numpy(path: Path, classes: Sequence[str], where: str) -> Table:
    try:
        if path.suffix.lower() == ".npz":
            loaded = load_arrays(path)
            names, values = [str(name) for name in loaded["classes"]], loaded["vectors"]
        else:
            names, values = list(classes), load_array(path)
    except (ArrayFileError, KeyError) as error:
        expected = "an array of numbers" if path.suffix == ".npy" else "'classes' and 'vectors'"
        raise UserError.of(where, f"'{path}': expected {expected} ({error})") from error
    if values.ndim != 2 or len(values) != len(names) or values.shape[1] == 0:
        expected = f"({len(names)} classes, attributes)"
        raise UserError.of(where, f"'{path}': expected shape {expected}, found {values.shape}")
    columns = tuple(str(i) for i in range(values.shape[1]))
    return _table(names, columns, values.tolist(), where, f"'{path}'")


def _table(
    classes: Sequence[str],
    attributes: tuple[str, ...],
    rows: Sequence[Sequence[Any]],
    where: str,
    what: str,
) -> Table:
    _check_unique(classes, where, what, "class")
    _check_unique(attributes, where, what, "attribute")
    if not attributes:
        raise UserError.of(where, f"{what} has no attributes")
    values = [
        [_number(cell, name, where, what) for cell in row]
        for name, row in zip(classes, rows, strict=True)
    ]
    return Table(tuple(classes), attributes, torch.tensor(values, dtype=torch.float64))


def _number(cell: Any, name: str, where: str, what: str) -> float:
    try:
        value = float(cell)
    except (TypeError, ValueError, OverflowError):
        value = float("nan")
    if not np.isfinite(value):
        raise UserError.of(where, f"{what}: '{name}' has {cell!r}, which is not a finite number")
    return value


def _check_unique(names: Sequence[str], where: str, what: str, kind: str) -> None:
    seen = set[str]()
    for name in names:
        if name in seen:
            raise UserError.of(where, f"{what} has the {kind} '{name}' twice")
        seen.add(name)
