"""Cells of new rows that are no inputs: columns to pass through, and targets to score with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from jlrun.data.tables.files.bad_rows import BadRows
from jlrun.data.tables.files.kinds import Target
from jlrun.data.tables.files.layout import Reading
from jlrun.data.tables.files.levels import Levels, level_name
from jlrun.data.tables.files.numbers import to_numbers
from jlrun.data.tables.files.reading import read_chunks
from jlrun.data.tables.reader import labels_of
from jlrun.tasks import Multilabel, TaskSpec


def columns_of(path: Path, reading: Reading) -> list[str]:
    """Return the columns of a table; of JSON Lines those of the first rows."""
    chunk = next(read_chunks(path, reading, BadRows(path), "input"), None)
    return [] if chunk is None else list(chunk.cells)


def read_cells(
    path: Path, reading: Reading, columns: Sequence[str], places: Sequence[int] | None
) -> dict[str, list[str]]:
    """Return column -> the cells of the rows at ``places``, empty where missing.

    Args:
        path: the table.
        reading: how it is written.
        columns: their names in the table.
        places: lines or row numbers, ascending; None: all rows.
    """
    wanted = None if places is None else set(places)
    found: dict[str, list[str]] = {column: [] for column in columns}
    for chunk in read_chunks(path, reading, BadRows(path), "input"):
        chosen = [i for i, p in enumerate(chunk.places) if wanted is None or p in wanted]
        for column in columns:
            cells = chunk.cells.get(column)
            found[column] += [""] * len(chosen) if cells is None else [cells[i] for i in chosen]
    return found


@dataclass(frozen=True)
class GivenTargets:
    """Targets of new rows.

    Attributes:
        values: in the form of a target column, ``(N,)`` or ``(N, C)``.
        known: Bool ``(N,)``, the rows that have one.
        strange: what other cells hold that the model does not know, at most one for each row.
    """

    values: Tensor
    known: Tensor
    strange: tuple[str, ...]


def given_targets(
    spec: TaskSpec, target: Target, cells: Sequence[str], reading: Reading
) -> GivenTargets:
    """Return the targets in the cells of a column; cells without a known class have none."""
    if not spec.classes:
        numbers, wrong = to_numbers(cells, reading.marks(target.column))
        values = torch.from_numpy(numbers)
        strange = tuple(cells[i] for i in wrong)
        return GivenTargets(values.nan_to_num(0.0), ~values.isnan(), strange)
    known = Levels(spec.classes)
    several = isinstance(spec.task, Multilabel)
    names = [
        labels_of(cell, target) if several else [level_name(cell)] if cell else [] for cell in cells
    ]
    found = [[known.find(name) for name in row] for row in names]
    good = torch.tensor([bool(row) and None not in row for row in found], dtype=torch.bool)
    strange = tuple(cell for cell, row in zip(cells, found, strict=True) if None in row)
    if several:
        values = torch.zeros(len(cells), len(spec.classes))
        for i, row in enumerate(found):
            values[i, [place for place in row if place is not None]] = 1
    else:
        values = torch.tensor([row[0] or 0 if row else 0 for row in found])
    return GivenTargets(values, good, strange)
