"""Request: a table as the config describes it; training, validation and test files differ."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

from jlrun.data.tables.files.inputs import (
    AudioSettings,
    CategorySettings,
    ImageSettings,
    SeriesSettings,
    TextSettings,
)
from jlrun.data.tables.files.kinds import Target, TargetKind
from jlrun.data.tables.files.layout import Reading
from jlrun.data.written_names import Name
from jlrun.errors import Problem, UserError

Targets = Sequence[Name] | Mapping[str, TargetKind | Target | None] | None


TYPES: dict[str, Any] = {
    "path": str,
    "reading": Reading,
    "columns": dict[str, str],
    "targets": list[Name] | dict[str, Target | str | None] | None,
    "split_column": Name,
    "group_by": Name,
    "time_by": Name,
    "files_root": str | None,
    "image": ImageSettings,
    "audio": AudioSettings,
    "series": SeriesSettings,
    "text": TextSettings,
    "category": CategorySettings,
}


@dataclass(frozen=True)
class Request:
    """A table as the config describes it; the rest is inferred.

    Attributes:
        path: the file.
        where: config path of the data set, for errors.
        columns: column -> its kind; kinds of other columns are inferred.
        targets: columns to predict; or task -> kind, or task -> column and kind.
        split_column, group_by, time_by: columns that divide the rows, and are not inputs.
        files_root: folder that file names are relative to; None: that of the table.
        join_texts: whether all texts are one modality.
        max_levels: largest number of different cells of a category.
        known: task -> kind of tasks learned on other data, for which the table needs no labels.
        inputs_alone: whether no task is learned, so that the table need not have a target.
    """

    path: Path
    where: str = "dataset"
    reading: Reading = field(default_factory=Reading)
    columns: Mapping[str, str] = field(default_factory=dict)
    targets: Targets = None
    split_column: Name = None
    group_by: Name = None
    files_root: str | None = None
    join_texts: bool = True
    max_levels: int = 1_000
    known: Mapping[str, TargetKind] = field(default_factory=dict)
    inputs_alone: bool = False
    image: ImageSettings = field(default_factory=ImageSettings)
    audio: AudioSettings = field(default_factory=AudioSettings)
    series: SeriesSettings = field(default_factory=SeriesSettings)
    time_by: Name = None

    @property
    def folder(self) -> Path:
        """Folder that file names are relative to."""
        return folder_of(self.path, self.files_root)


def folder_of(path: Path, files_root: str | None) -> Path:
    """Return the folder that file names in a table are relative to."""
    return path.parent if files_root is None else Path(files_root).expanduser()


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
