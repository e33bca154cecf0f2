"""Frames of pandas as files of tables, and messages about these files in the words of Python."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jlrun.errors import Problem, UserError

if TYPE_CHECKING:
    import pandas as pd

# Options of the commands as arguments in Python.
_OPTIONS = {
    "--on-error skip": "on_error='skip'",
    "add --multirun to run one job for each": "jlrun.sweep runs one job for each",
    "add --multirun": "use jlrun.sweep",
}
_TRUST = re.compile(r"add --trust (\w+)")
_PLACES = {
    "--input": "rows",
    "--columns": "columns",
    "--output": "rows",
    "--config-dir": "config_dir",
    "--trust": "trust",
}


def as_frame(value: Any) -> pd.DataFrame | None:
    """Return a frame of pandas, or what converts itself to one; None for anything else."""
    import pandas as pd

    is_other = not isinstance(value, type | pd.DataFrame)
    if is_other and callable(getattr(value, "to_pandas", None)):
        value = value.to_pandas()
    return value if isinstance(value, pd.DataFrame) else None


def write_frame(rows: pd.DataFrame, path: Path, where: str) -> None:
    """Write a frame without its index as Parquet.

    Args:
        rows: the frame; columns of mixed types become texts, as cells of a CSV file are.
        path: the file.
        where: the argument that it is, for errors.

    Raises:
        UserError: if it has no row, or no table has such columns.
    """
    if rows.empty:
        raise UserError.of(where, "the frame has no row")
    strange = [name for name in rows.columns if not isinstance(name, str)]
    if strange:
        raise UserError.of(where, f"names of columns must be texts, not {strange[0]!r}")
    if twice := sorted(rows.columns[rows.columns.duplicated()]):
        raise UserError.of(where, f"there are several columns '{twice[0]}'")
    mixed = [name for name in rows.columns if rows[name].dtype == object]
    texts = {name: rows[name].map(str, na_action="ignore") for name in mixed}
    try:
        rows.assign(**texts).to_parquet(path, index=False)
    except (ValueError, TypeError) as error:  # those of pyarrow are such, too
        reason = " ".join(str(part) for part in error.args)
        raise UserError.of(where, f"can't be written as a table: {reason}") from error


class PythonWords:
    """Messages of a command in the words of a program.

    Args:
        files: name or whole path of a file that a frame was written to -> what it is called.
    """

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = [(_mention(name), title) for name, title in files.items()]

    def text(self, text: str) -> str:
        """Return a text with frames in the place of their files."""
        for pattern, title in self._files:
            text = pattern.sub(title, text)
        return text

    def error(self, error: UserError) -> UserError:
        """Return an error whose fixes are arguments of Python."""
        return UserError([self._problem(problem) for problem in error.problems])

    def _problem(self, problem: Problem) -> Problem:
        message = _TRUST.sub(r"pass trust=['\1']", problem.message)
        for option, argument in _OPTIONS.items():
            message = message.replace(option, argument)
        where = _PLACES.get(problem.where, problem.where)
        return Problem(self.text(where), self.text(message))


def _mention(name: str) -> re.Pattern[str]:
    folder = "" if os.sep in name else r"[^\s']*"
    return re.compile(rf"'?{folder}{re.escape(name)}'?")
