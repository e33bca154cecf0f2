"""New rows for a model that was trained on a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from jlrun.data.rows import NamedRows
from jlrun.data.specs import Spec, TabularSpec
from jlrun.data.tables.cells import Cells, cells_of, checks
from jlrun.data.tables.files.bad_rows import BadRows
from jlrun.data.tables.files.cache import stored
from jlrun.data.tables.files.conversion import Wanted
from jlrun.data.tables.files.inputs import MEDIA, ColumnsOf
from jlrun.data.tables.files.layout import Reading, place_word
from jlrun.data.tables.files.request import folder_of
from jlrun.data.tables.files.store import Form, Store
from jlrun.data.tables.report import UnknownLevels, unknown_levels
from jlrun.data.tables.table_rows import TableRows
from jlrun.errors import Problem, UserError
from jlrun.files.atomic import read_json
from jlrun.files.atomic import reading as of_a_run
from jlrun.wording import counted

_LISTED = 100  # bad rows in the log


@dataclass(frozen=True)
class NewRows:
    """Rows to predict.

    Attributes:
        named: the good rows, named by their places in the file.
        store: their table.
        bad: the bad rows.
        absent: columns that the model knows and the file lacks.
        unknown: columns in which most rows have a category unknown to the model.
    """

    named: NamedRows
    store: Store
    bad: BadRows
    absent: tuple[str, ...]
    unknown: tuple[UnknownLevels, ...] = ()

    def check(self, where: str, skip: str) -> None:
        """Check that there are no bad rows.

        Raises:
            UserError: if there are any.
        """
        self.bad.check(self.store.num_read, where, skip)

    def lines(self) -> list[str]:
        """Return log lines on skipped rows, absent columns and unknown categories."""
        word, rows = place_word(self.bad.path), self.bad.rows
        lines = [
            f"skipped: {counted(count, 'row')}, {reason}"
            for reason, count in self.bad.counts().items()
        ]
        lines += [f"skipped: {word} {row.place}, {row.detail}" for row in rows[:_LISTED]]
        lines += [f"skipped: … and {len(rows) - _LISTED} more"] if len(rows) > _LISTED else []
        if self.absent:
            lines.append(f"no such column, so missing in every row: {', '.join(self.absent)}")
        return [*lines, *(unknown.line("rows") for unknown in self.unknown)]


def read_new_rows(
    path: Path,
    table: Path,
    specs: Mapping[str, Spec],
    cache: Path,
    folder: Path | None = None,
) -> NewRows:
    """Read the rows of a table for a model.

    Columns that the model does not know are ignored. Columns that the table lacks are missing in
    every row, as are categories that no training row had; see `NewRows.unknown`.

    Args:
        path: the table.
        table: ``table.json`` of the model's run.
        specs: modality -> what the model takes.
        cache: an empty folder, kept as long as the rows are in use.
        folder: that file names are relative to; None: that of the run, or of the table.

    Raises:
        UserError: if the table can't be read, or has no column that the model takes.
    """
    if not path.exists():
        raise UserError.of("--input", f"there is no file '{path}'")
    reading = reading_of(table)
    with of_a_run(table):
        table_json = read_json(table)
        modalities = {m: _columns(table_json["modalities"][m]) for m in specs}
        unused = tuple(str(name) for name in table_json.get("unused", ()))
        folder = folder or folder_of(path, table_json["files_root"])
    cells = {m: cells_of(columns, specs[m], folder) for m, columns in modalities.items()}
    media = {m: columns for m, columns in modalities.items() if columns.kind in MEDIA}
    checked = {m: checks({columns.kind: specs[m]})[columns.kind] for m, columns in media.items()}
    forms = _forms(cells, specs)
    of_unused: dict[str, Form] = dict.fromkeys(unused, "text")
    wanted = Wanted(
        path=path,
        reading=reading,
        forms=of_unused | forms,
        inputs=[column for c in cells.values() for column in c.columns],
        files={columns.columns[0]: checked[m] for m, columns in media.items()},
        files_key="",
        folder=folder,
        optional=True,
    )
    store = _stored(wanted, cache)
    absent = tuple(column for column in forms if column in store.absent)
    if len(absent) == len(forms):
        known = ", ".join(forms)
        raise UserError.of(str(path), f"has none of the columns that the model takes: {known}")
    if not len(store):
        raise UserError([*store.bad().problems(), Problem(str(path), "has no row to predict")])
    rows = TableRows.whole(store, cells, unused)
    names = tuple(f"{place_word(path)} {place}" for place in store.places().tolist())
    unknown = unknown_levels(specs.values(), store, rows.rows)
    return NewRows(NamedRows(names, rows), store, store.bad(), absent, tuple(unknown))


def reading_of(table: Path) -> Reading:
    """Return how the tables of a run are written, by its ``table.json``.

    Raises:
        UserError: if it is damaged.
    """
    with of_a_run(table):
        return _reading(read_json(table)["reading"])


def _stored(wanted: Wanted, cache: Path) -> Store:
    try:
        return stored(wanted, cache, "dataset")
    except UserError as error:
        places = {"dataset.path": "--input", "dataset": str(wanted.path)}
        problems = [Problem(places.get(p.where, p.where), p.message) for p in error.problems]
        raise UserError(problems) from error


def _forms(cells: Mapping[str, Cells], specs: Mapping[str, Spec]) -> dict[str, Form]:
    forms: dict[str, Form] = {}
    for modality, found in cells.items():
        spec = specs[modality]
        for column in found.columns:
            forms[column] = "text"
        if isinstance(spec, TabularSpec):
            forms.update((column, "number") for column in spec.plain_numbers)
            forms.update((date.column, "date") for date in spec.dates)
            forms.update((column, "code") for column in spec.categories)
    return forms


def _columns(entry: Mapping[str, Any]) -> ColumnsOf:
    names = (tuple(entry[key]) for key in ("columns", "categories", "dates"))
    return ColumnsOf(entry["kind"], *names)


def _reading(entry: Mapping[str, Any]) -> Reading:
    return TypeAdapter(Reading).validate_python(entry)
