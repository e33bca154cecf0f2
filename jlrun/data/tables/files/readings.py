"""Readings of columns: how numbers and dates of a file are written, found where it is not said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from jlrun.data.tables.files.column_names import named
from jlrun.data.tables.files.inputs import ColumnKind
from jlrun.data.tables.files.layout import ColumnReading, Reading
from jlrun.data.tables.files.numbers import MARK_NAMES, Grouping, found_thousands
from jlrun.data.tables.files.quantities import DURATIONS, PERCENT
from jlrun.data.tables.files.request import Request
from jlrun.data.tables.files.statistics import FileStatistics, measure
from jlrun.errors import Problem


def measured(
    request: Request, problems: list[Problem]
) -> tuple[Request, FileStatistics, dict[str, str]]:
    """Return the request with the notation of numbers, the file's statistics, and what was found in
    the file: column -> a note; that of the whole file is under ''.

    Problems with names of columns are added to ``problems``.
    """
    said = request.reading
    table = measure(request.path, replace(said, columns={}), request.where)
    reading = replace(said, columns=_named_columns(request, list(table.columns), problems))
    notes = dict[str, str]()
    if reading.thousands is None:
        groupings = {name: column.grouping for name, column in table.columns.items()}
        mark = found_thousands(groupings.values())
        if mark is not None:
            reading = replace(reading, thousands=mark)
            notes[""] = _thousands_note(mark, groupings)
    found = _found(request, reading, table)
    reading = reading.with_columns(found)
    if reading != replace(said, columns={}):
        table = measure(request.path, reading, request.where)
    notes |= {name: _note(name, reading, table) for name in found}
    return replace(request, reading=reading), table, notes


def with_orders(
    request: Request, table: FileStatistics, columns: Mapping[str, ColumnKind]
) -> Request:
    """Return the request with the order of day and month in columns of dates."""
    orders = {
        name: ColumnReading(dates=order)
        for name, kind in columns.items()
        if kind == "date" and (order := table.columns[name].notation.order()) is not None
    }
    return replace(request, reading=request.reading.with_columns(orders))


def _named_columns(
    request: Request, names: Sequence[str], problems: list[Problem]
) -> dict[str, ColumnReading]:
    where = f"{request.where}.reading.columns"
    pairs = (
        (named(wanted, names, where, problems), own)
        for wanted, own in request.reading.columns.items()
    )
    return {name: own for name, own in pairs if name is not None}


def _found(request: Request, reading: Reading, table: FileStatistics) -> dict[str, ColumnReading]:
    found = {
        name: own
        for name, column in table.columns.items()
        if (own := column.notation.found(reading, name)) is not None
    }
    return found | _decimal_commas(request, reading, table)


def _decimal_commas(
    request: Request, reading: Reading, table: FileStatistics
) -> dict[str, ColumnReading]:
    """Return the columns with decimal commas of a file whose delimiter is a semicolon."""
    from jlrun.data.tables.files.delimited import delimiter_of  # imports pyarrow

    if reading.decimal != "." or delimiter_of(request.path, reading, request.where) != ";":
        return {}
    plain = {n: c.notation for n, c in table.columns.items() if n not in reading.columns}
    evident = any(notation.decimal_comma(evident=False) for notation in plain.values())
    return {
        name: own
        for name, notation in plain.items()
        if evident and (own := notation.decimal_comma(evident=True)) is not None
    }


def _note(name: str, reading: Reading, table: FileStatistics) -> str:
    marks, notation = reading.marks(name), table.columns[name].notation
    if marks.unit is None:
        return "numbers with a decimal comma, since cells are divided by semicolons"
    if marks.unit in DURATIONS:
        example = next(iter(notation.examples.values()))
        return f"durations or times of day such as {example}, in seconds"
    example = notation.examples[marks.unit]
    if marks.unit == PERCENT:
        return f"percentages such as {example}, read as numbers of percent: 12 % is 12"
    between = f", with a {MARK_NAMES[marks.thousands]} between thousands" if marks.thousands else ""
    comma = ", with a decimal comma" if marks.decimal == "," and not marks.thousands else ""
    return f"amounts in {marks.unit} such as {example}{between}{comma}"


def _thousands_note(mark: str, groupings: Mapping[str, Grouping]) -> str:
    """Return a note on the separator that was found, and its columns."""
    columns = [name for name, grouping in groupings.items() if mark in grouping.marks()]
    example = groupings[columns[0]].example
    where = ", ".join(columns)
    return f"numbers have a {MARK_NAMES[mark]} between thousands, such as {example}: {where}"
