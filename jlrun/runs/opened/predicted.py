"""Predictions of a frame, or of a path, as a frame."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from jlrun.errors import Problem, UserError, did_you_mean
from jlrun.files.run_directory import RunDirectory
from jlrun.runs.new_predictions import Asked, NewPredictions, model_runs, predict_new

if TYPE_CHECKING:
    import pandas as pd

POSITION = "__jlrun_position__"
_FILE = "__jlrun_frame__.parquet"
# What names the file that a frame is written to.
_NAMES = re.compile(rf"'?[^\s']*{re.escape(_FILE)}'?")
# Options of `jlrun predict` as arguments in Python.
_ARGUMENTS = {"--input": "rows", "--columns": "columns", "--output": "rows"}
_MESSAGES = {"--on-error skip": "on_error='skip'"}


def predicted_frame(
    run: Path,
    rows: pd.DataFrame | str | Path,
    *,
    on_error: str,
    columns: Sequence[str],
    probabilities: str,
    level: float,
) -> pd.DataFrame:
    """Return predictions; arguments and errors as in `jlrun.runs.opened.run.Run.predict`."""
    import pandas as pd

    if not isinstance(rows, pd.DataFrame | str | os.PathLike):
        message = "expected a frame of pandas, or the path of a table, image, folder, .npy or .npz"
        raise UserError.of("rows", f"{message}, not a value of type {type(rows).__name__}")
    if isinstance(columns, str):
        raise UserError.of("columns", f"'{columns}' is a text; give a list, as in ['{columns}']")
    _check_choice("on_error", on_error, ("fail", "skip"))
    _check_choice("probabilities", probabilities, ("all", "winner"))
    if not isinstance(level, int | float) or not 0 < level < 1:
        raise UserError.of("level", f"{level} is no share between 0 and 1, such as 0.9")
    every, skip = probabilities == "all", on_error == "skip"
    asked = Asked(skip=skip, columns=tuple(columns), level=level, every_class=every)
    try:
        if isinstance(rows, pd.DataFrame):
            return _of_frame(run, rows, asked)
        return pd.DataFrame(_printed(predict_new(run, Path(rows), asked)).columns)
    except UserError as error:
        raise UserError([_in_python(problem) for problem in error.problems]) from error


def _of_frame(run: Path, rows: pd.DataFrame, asked: Asked) -> pd.DataFrame:
    import pandas as pd

    if not RunDirectory(model_runs(run)[0]).table.is_file():
        raise UserError.of("rows", "this run did not learn from a table; give a path instead")
    unknown = [name for name in asked.columns if name not in rows.columns]
    if unknown:
        hint = did_you_mean(unknown[0], map(str, rows.columns))
        raise UserError.of("columns", f"the frame has no column '{unknown[0]}'.{hint}")
    with TemporaryDirectory() as folder:
        path = Path(folder) / _FILE
        _write(rows.assign(**{POSITION: range(len(rows))}), path)
        own = Asked(
            skip=asked.skip,
            columns=(POSITION,),
            level=asked.level,
            every_class=asked.every_class,
            folder=Path.cwd(),
        )
        found = dict(_printed(predict_new(run, path, own)).columns)
    positions = [int(cell) for cell in found.pop(POSITION)]
    del found["input"]  # names rows of the temporary file
    passed = rows[[*asked.columns]].iloc[positions]
    own_names = {name: f"{name}_given" for name in asked.columns if name in found}
    predicted = pd.DataFrame(found, index=passed.index)
    return pd.concat([passed.rename(columns=own_names), predicted], axis=1)


def _write(rows: pd.DataFrame, path: Path) -> None:
    if rows.empty:
        raise UserError.of("rows", "the frame has no row")
    strange = [name for name in rows.columns if not isinstance(name, str)]
    if strange:
        raise UserError.of("rows", f"names of columns must be texts, not {strange[0]!r}")
    if twice := sorted(rows.columns[rows.columns.duplicated()]):
        raise UserError.of("rows", f"there are several columns '{twice[0]}'")
    # Columns of mixed types are read as text, as cells of a CSV file are.
    mixed = [name for name in rows.columns if rows[name].dtype == object]
    texts = {name: rows[name].map(str, na_action="ignore") for name in mixed}
    try:
        rows.assign(**texts).to_parquet(path, index=False)
    except (ValueError, TypeError) as error:  # those of pyarrow are such, too
        reason = " ".join(str(part) for part in error.args)
        raise UserError.of("rows", f"can't be written as a table: {reason}") from error


def _printed(found: NewPredictions) -> NewPredictions:
    """Print what there is to say about the rows."""
    from jlrun.files.names import printable

    for line in found.lines:
        print(printable(_NAMES.sub("the frame", line)))
    return found


def _check_choice(where: str, found: str, valid: Sequence[str]) -> None:
    if found not in valid:
        raise UserError.of(where, f"'{found}' is none of {', '.join(valid)}")


def _in_python(problem: Problem) -> Problem:
    message = problem.message
    for option, argument in _MESSAGES.items():
        message = message.replace(option, argument)
    where = _ARGUMENTS.get(problem.where, problem.where)
    return Problem(_NAMES.sub("the frame", where), _NAMES.sub("the frame", message))
