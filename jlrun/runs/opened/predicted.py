"""Predictions of a frame, or of a path, as a frame."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from jlrun.errors import UserError, did_you_mean
from jlrun.files.run_directory import RunDirectory
from jlrun.runs.new_predictions import Asked, NewPredictions, model_runs, predict_new
from jlrun.runs.opened.frame_files import PythonWords, write_frame

if TYPE_CHECKING:
    import pandas as pd

POSITION = "__jlrun_position__"
_FILE = "__jlrun_frame__.parquet"
_WORDS = PythonWords({_FILE: "the frame"})


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
        raise _WORDS.error(error) from None


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
        write_frame(rows.assign(**{POSITION: range(len(rows))}), path, "rows")
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


def _printed(found: NewPredictions) -> NewPredictions:
    """Print what there is to say about the rows."""
    from jlrun.files.names import printable

    for line in found.lines:
        print(printable(_WORDS.text(line)))
    return found


def _check_choice(where: str, found: str, valid: Sequence[str]) -> None:
    if found not in valid:
        raise UserError.of(where, f"'{found}' is none of {', '.join(valid)}")
