"""Check of all files of a run before training: a broken file stops it now, not in an hour."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from jlrun.data.file_contents import FileContents
from jlrun.data.rows import FileRows, Rows
from jlrun.data.sources import available_cpus
from jlrun.data.view import MaskedLabels, View
from jlrun.errors import Problem, UserError

T = TypeVar("T")
R = TypeVar("R")
_NAMED = 5  # bad files in a message


def check_files(splits: Iterable[Rows]) -> None:
    """Decode every file of the rows, in threads, unless it is unchanged since an earlier check.

    Raises:
        UserError: with the number of broken files, and the first of them.
    """
    todo = dict[tuple[str, ...], Callable[[], object]]()
    for rows in splits:
        base, indices = at_base(rows)
        if isinstance(base, FileRows) and base.files is not None:
            for row in indices.tolist():
                todo.setdefault(tuple(base.files(row)), _check_of(base, row))
    if not todo:
        return
    known = FileContents()
    unknown = [files for files in todo if not _are_known(known, files)]
    try:
        read_each(unknown, lambda files: _check(files, todo[files], known), total=len(todo))
    finally:
        known.save()


def unusable(paths: Sequence[Path], read: Callable[[Path], object]) -> dict[Path, str]:
    """Return path -> why it can't be used, of all files that ``read`` refuses.

    A file that is unchanged since an earlier check is not read.
    """
    known = FileContents()

    def attempt(path: Path) -> str:
        try:
            if not _are_known(known, (str(path),)):
                _check((str(path),), lambda: read(path), known)
        except UserError as error:
            return error.problems[0].message
        return ""

    with ThreadPoolExecutor(available_cpus()) as pool:
        found = dict(zip(paths, pool.map(attempt, paths), strict=True))
    known.save()
    return {path: why for path, why in found.items() if why}


def at_base(rows: Rows) -> tuple[Rows, Tensor]:
    """Return the rows of a data set that ``rows`` are a view of, and their indices there."""
    indices = torch.arange(len(rows))
    while isinstance(rows, View | MaskedLabels):
        if isinstance(rows, View):
            indices = rows.indices[indices]
        rows = rows.base
    return rows, indices


def read_each(items: Sequence[T], read: Callable[[T], R], total: int | None = None) -> list[R]:
    """Return ``read(item)`` for each item, in order, computed in threads.

    Args:
        items: such as paths.
        read: reads one.
        total: number of files in the error message; None: the number of items.

    Raises:
        UserError: of the only broken item, or with their number and the first of them.
    """

    found, bad = read_good(items, read)
    if len(bad) == 1:
        raise UserError(list(bad.values()))
    if bad:
        raise UserError([_summary(list(bad.values()), total or len(items))])
    return found


def read_good(items: Sequence[T], read: Callable[[T], R]) -> tuple[list[R], dict[int, Problem]]:
    """Return ``read(item)`` for each item, in order, and position -> problem of those left out."""

    def attempt(item: T) -> R | UserError:
        try:
            return read(item)
        except UserError as error:
            return error

    with ThreadPoolExecutor(available_cpus()) as pool:
        found = list(pool.map(attempt, items))
    bad = {i: each.problems[0] for i, each in enumerate(found) if isinstance(each, UserError)}
    return [value for value in found if not isinstance(value, UserError)], bad


def _summary(bad: Sequence[Problem], total: int) -> Problem:
    lines = [f"{len(bad)} of {total} files can't be used:", *map(str, bad[:_NAMED])]
    if len(bad) > _NAMED:
        lines.append(f"… and {len(bad) - _NAMED} more")
    return Problem("", "\n  ".join(lines))


def _are_known(known: FileContents, files: Sequence[str]) -> bool:
    try:
        return all(known.get(file) is not None for file in files)
    except (OSError, ValueError):
        return False


def _check_of(rows: FileRows, row: int) -> Callable[[], object]:
    return lambda: rows.check(row)


def _check(files: Sequence[str], check: Callable[[], object], known: FileContents) -> None:
    check()
    for file in files:
        try:
            known.add(file)
        except OSError as error:
            raise UserError.of(os.fspath(file), f"can't be read: {error.strerror}") from error
