"""Request: a table as the config describes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jlrun.data.tables.files.layout import Reading
from jlrun.data.tables.files.settings import (
    AudioSettings,
    CategorySettings,
    ImageSettings,
    SeriesSettings,
    TextSettings,
)
from jlrun.data.tables.files.target_kinds import Target, TargetKind
from jlrun.data.written_names import Name

Targets = Sequence[Name] | Mapping[str, TargetKind | Target | None] | None


TYPES: dict[str, Any] = {
    "path": str,
    "reading": Reading,
    "columns": dict[str, str],
    "targets": list[Name] | dict[str, Target | str | None] | None,
    "split_column": Name,
    "group_by": Name,
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
        split_column, group_by: columns that divide the rows, and are not inputs.
        files_root: folder that file names are relative to; None: that of the table.
        join_texts: whether all texts are one modality.
        max_levels: largest number of different cells of a category.
        known: task -> kind of tasks learned on other data, for which the table needs no labels.
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
    image: ImageSettings = field(default_factory=ImageSettings)
    audio: AudioSettings = field(default_factory=AudioSettings)
    series: SeriesSettings = field(default_factory=SeriesSettings)

    @property
    def folder(self) -> Path:
        """Folder that file names are relative to."""
        return folder_of(self.path, self.files_root)


def folder_of(path: Path, files_root: str | None) -> Path:
    """Return the folder that file names in a table are relative to."""
    return path.parent if files_root is None else Path(files_root).expanduser()
