"""Types of what a table's node says, for checks before anything is read."""

from __future__ import annotations

from typing import Any

from jlrun.data.tables.files.layout import Reading
from jlrun.data.tables.files.settings import (
    AudioSettings,
    CategorySettings,
    ImageSettings,
    SeriesSettings,
    TextSettings,
)
from jlrun.data.tables.files.target_kinds import Target
from jlrun.data.written_names import Name

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
