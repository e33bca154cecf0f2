"""Files on the rows of a run: which split each is in, and what is predicted for the test rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from jlrun.data.file_checks import at_base
from jlrun.data.rows import FileRows, Rows
from jlrun.data.streams import Stream
from jlrun.data.tables.table_rows import TableRows
from jlrun.evaluation.conformal import LEVEL, Intervals
from jlrun.evaluation.prediction_columns import prediction_columns, target_cells
from jlrun.evaluation.weighted_scores import RowPredictions
from jlrun.runs.assembly import Assembly
from jlrun.runs.job import Job
from jlrun.runs.predicting import kept_intervals
from jlrun.runs.prediction_files import write_csv
from jlrun.tasks import TaskSpec
from jlrun.tasks.objective import Objective
from jlrun.training.recorder import MAIN_FIT

SPLITS = ("train", "val", "test")
PLACE = ("data", "file", "place")
MOST_PROBABILITIES = 5_000_000  # of a task; with more, that of the decision alone is written


def write_splits(job: Job, assembly: Assembly) -> None:
    """Write ``splits.csv``: data set, file and place of each row, and the split that it is in."""
    rows = (
        (*place, split)
        for stream, splits in assembly.data.splits.items()
        for split in SPLITS
        for place in _places(stream, getattr(splits, split))
    )
    write_csv(job.files.splits, (*PLACE, "split"), rows)


def write_predictions(job: Job, assembly: Assembly, rows: Mapping[str, RowPredictions]) -> None:
    """Write ``predictions/test.csv``: truth and prediction of each test row of the main fit.

    Args:
        job: of the run.
        assembly: of the run.
        rows: label -> predictions of the labelled test rows, as they were scored.
    """
    objectives = assembly.plan.fits[0].scored
    scored = [o for o in objectives if o.label in rows and not o.spec.task.dense]
    if not scored:
        return
    intervals = kept_intervals([job.folder(MAIN_FIT).path], scored, LEVEL)
    tables = [
        _table(test, [o for o in scored if o.stream == stream], rows, intervals)
        for stream, test in assembly.plan.test.items()
        if any(o.stream == stream for o in scored)
    ]
    header = list(dict.fromkeys(name for table in tables for name in table))
    lines = (
        line
        for table in tables
        for line in zip(*(table.get(name) or _empty(table) for name in header), strict=True)
    )
    write_csv(job.files.test_predictions, header, lines)


def _table(
    test: Stream,
    scored: Sequence[Objective],
    rows: Mapping[str, RowPredictions],
    intervals: Intervals,
) -> dict[str, list[Any]]:
    """Return name -> cells of the test rows of a data set, those without a label included."""
    places = zip(*_places(test.name, test.rows), strict=True)
    columns = {name: list(cells) for name, cells in zip(PLACE, places, strict=True)}
    for objective in scored:
        found, spec = rows[objective.label], objective.spec
        few = found.probabilities.numel() <= MOST_PROBABILITIES
        known = torch.ones(len(found.target), dtype=torch.bool)
        cells = {
            f"{spec.name}_true": target_cells(spec, found.target, known),
            **prediction_columns(spec, found.probabilities, intervals.get(spec.name), few),
        }
        at = labelled_rows(test.rows, spec)
        columns |= {name: _spread(column, at, len(test.rows)) for name, column in cells.items()}
    return columns


def labelled_rows(rows: Rows, spec: TaskSpec) -> Tensor:
    """Return the positions of the rows that are labelled for a task."""
    mask = rows.labelled.get(spec.column)
    return torch.arange(len(rows)) if mask is None else mask.nonzero()[:, 0]


def _spread(cells: Sequence[Any], positions: Tensor, count: int) -> list[Any]:
    found: list[Any] = [None] * count
    for cell, position in zip(cells, positions.tolist(), strict=True):
        found[position] = cell
    return found


def _places(stream: str, rows: Rows) -> Iterator[tuple[str, str | None, int | None]]:
    """Yield data set, file, and line or row in it of each row; of a file for itself, no place."""
    base, indices = at_base(rows)
    if isinstance(base, TableRows):
        places = base.store.places()[base.rows[indices.numpy()]]
        for place in places.tolist():
            yield stream, base.store.description["path"], place
        return
    files = base.files if isinstance(base, FileRows) else None
    for index in indices.tolist():
        yield (stream, None, index) if files is None else (stream, files(index)[0], None)


def _empty(table: Mapping[str, list[Any]]) -> list[None]:
    return [None] * len(table["place"])
