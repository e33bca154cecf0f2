"""Check that training, validation and test files differ: no test on training rows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

from jlrun.errors import Problem, UserError

_AT_ONCE = 1 << 20


def check_distinct_files(paths: Mapping[str, str | None], where: str) -> None:
    """Check that the files of a data set differ, by resolved path and by content.

    Args:
        paths: key -> path; None: not given.
        where: config path of the data set, for errors.

    Raises:
        UserError: with each pair of equal files.
    """
    given = [(key, Path(path).expanduser()) for key, path in paths.items() if path is not None]
    files = [(key, path) for key, path in given if path.is_file()]
    problems = []
    for (key, path), (other_key, other) in combinations(files, 2):
        fault = _same(path, other)
        if fault:
            message = (
                f"'{other}' {fault} {where}.{key}: a model would be scored on rows that it learns "
                "from; name another file, or null to split rows off"
            )
            problems.append(Problem(f"{where}.{other_key}", message))
    if problems:
        raise UserError(problems)


def _same(path: Path, other: Path) -> str:
    if path.samefile(other):
        return "is the file of"
    if path.stat().st_size == other.stat().st_size and _digest(path) == _digest(other):
        return "has the same content as the file of"
    return ""


def _digest(path: Path) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(_AT_ONCE):
            digest.update(part)
    return digest.digest()
