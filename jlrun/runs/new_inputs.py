"""Inputs to predict: their rows, columns to pass through, and labels where they have any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from jlrun.data.file_contents import FileContents
from jlrun.data.rows import NamedRows
from jlrun.data.rows_to_predict import TABLE_READING, read_inputs
from jlrun.data.tables.files.column_names import find_column
from jlrun.data.tables.files.layout import SUFFIXES, Reading
from jlrun.data.tables.given_cells import GivenTargets, columns_of, given_targets, read_cells
from jlrun.data.tables.new_rows import read_new_rows, reading_of
from jlrun.data.tables.table_rows import TableRows
from jlrun.errors import UserError
from jlrun.files.run_directory import RunDirectory
from jlrun.runs.fingerprints.row_keys import content_keys, file_keys
from jlrun.runs.predicting import folder_targets, table_targets
from jlrun.runs.saved_model import SavedModel
from jlrun.runs.settings import RunSettings
from jlrun.wording import counted

PASSED = "--columns"


@dataclass(frozen=True)
class NewInputs:
    """Inputs to predict.

    Attributes:
        named: the rows.
        lines: for the user, such as rows that are skipped.
        passed: columns that go to the output, by the names that they have there.
        targets: task -> its labels.
        files: of the rows, where each is one.
    """

    named: NamedRows
    lines: Sequence[str] = ()
    passed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    targets: Mapping[str, GivenTargets] = field(default_factory=dict)
    files: Sequence[str] = ()

    def keys(self) -> np.ndarray | None:
        """Return what is in each row, as in a fingerprint, uint64 ``(N,)``; None: not known."""
        if self.files:
            return file_keys(self.files, FileContents())
        if not isinstance(self.named.rows, TableRows):
            return None
        return content_keys(self.named.rows, torch.arange(len(self.named.rows)), FileContents())


@contextmanager
def new_inputs(
    run: Path,
    settings: RunSettings,
    saved: SavedModel,
    path: Path,
    skip: bool,
    passed: Sequence[str],
    folder: Path | None = None,
) -> Iterator[NewInputs]:
    """Read a table by the columns that a run learned from, or images, arrays and files of paths.

    Args:
        run: its directory.
        settings: of the run.
        saved: its model.
        path: the input.
        skip: leave out rows that can't be used.
        passed: columns of a table that go to the output.
        folder: that file names in the table are relative to; None: that of the table, or of the
            run.

    Raises:
        UserError: if rows can't be used, or a column is not in the table.
    """
    table = RunDirectory(run).table
    if not table.is_file() or path.suffix.lower() not in SUFFIXES:
        yield _of_files(saved, path, skip, passed)
        return
    with TemporaryDirectory() as cache:
        found = read_new_rows(path, table, saved.specs, Path(cache), folder)
        if not skip:
            found.check("--input", "--on-error skip")
        reading, places = reading_of(table), found.store.places().tolist()
        columns = columns_of(path, reading)
        labels = {
            task: target
            for task, target in table_targets(settings, saved.scored).items()
            if target.column in columns
        }
        chosen = {name: find_column(name, columns, PASSED) for name in passed}
        wanted = {*(target.column for target in labels.values()), *chosen.values()}
        cells = read_cells(path, reading, [*wanted], places)
        specs = {o.spec.name: o.spec for o in saved.scored}
        targets = {
            task: given_targets(specs[task], target, cells[target.column], reading)
            for task, target in labels.items()
        }
        yield NewInputs(
            found.named,
            [*found.lines(), *_strange_lines(targets)],
            {column: cells[column] for column in chosen.values()},
            targets,
        )


def _of_files(saved: SavedModel, path: Path, skip: bool, passed: Sequence[str]) -> NewInputs:
    named = read_inputs(path, saved.specs, skip)
    lines = [f"skipped: {line}" for line in named.skipped]
    if path.suffix.lower() == ".csv":
        return NewInputs(named, lines, _cells_of(path, TABLE_READING, named, passed))
    if passed:
        raise UserError.of(PASSED, f"'{path}' is no table: only tables have columns")
    if not path.is_dir():
        return NewInputs(named, lines)
    files = [str(path / name) for name in named.names]
    return NewInputs(named, lines, targets=folder_targets(saved.scored, named.names), files=files)


def _cells_of(
    path: Path, reading: Reading, named: NamedRows, passed: Sequence[str]
) -> dict[str, list[str]]:
    """Return the columns of a file of paths and texts, whose rows are named by their numbers."""
    if not passed:
        return {}
    columns = columns_of(path, reading)
    chosen = [find_column(name, columns, PASSED) for name in passed]
    every = read_cells(path, reading, chosen, None)
    return {column: [every[column][int(name)] for name in named.names] for column in chosen}


def _strange_lines(targets: Mapping[str, GivenTargets]) -> list[str]:
    return [
        f"{task}: not scored: {counted(len(given.strange), 'row')} with labels unknown to the "
        f"model, such as '{given.strange[0]}'"
        for task, given in targets.items()
        if given.strange
    ]
