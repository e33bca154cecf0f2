"""How columns are written, found in their cells or asked for."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from jlrun.data.tables.files.layout import ColumnReading, Reading
from jlrun.data.tables.files.notation import marks_of
from jlrun.data.tables.files.outline import Outline, outline
from jlrun.data.tables.files.request import Request
from jlrun.errors import UserError
from tests.data.tables.files.made import write_csv


@pytest.mark.parametrize(
    ("numbers", "money", "marks"),
    [
        (["1.234", "980"], True, (",", ".")),  # a price of hundreds is in the unit of the others
        (["12.500", "9.999"], True, (",", ".")),
        (["1.799", "1.659"], True, None),  # fuel, or thousands
        (["1,234", "12,500"], True, (".", ",")),
        (["1.234,50"], True, (",", ".")),
        (["1.234.567", "12"], False, (",", ".")),
        (["1 234,5", "7"], False, (",", " ")),
        (["12.345", "1.5"], False, (".", None)),
        (["12.345"], False, (".", None)),
        (["1,234"], False, None),
        (["1,5", "2.5"], False, None),
    ],
)
def test_marks_of_numbers(
    numbers: Sequence[str], money: bool, marks: tuple[str, str | None] | None
) -> None:
    assert marks_of(numbers, ".", money=money) == marks


def found(folder: Path, cells: Sequence[str], delimiter: str = ",", **values: object) -> Outline:
    rows = [{"x": cells[i % len(cells)], "n": str(i % 7 / 4), "y": "ab"[i % 2]} for i in range(24)]
    path = write_csv(folder / "t.csv", rows, delimiter)
    return outline(replace(Request(path, targets=["y"]), **values))


@pytest.mark.parametrize(
    ("cells", "kind", "reading", "note"),
    [
        (["$1,234", "$980"], "number", ColumnReading(".", ",", unit="$"), "amounts in $"),
        (["1.234 €", "980 €"], "number", ColumnReading(",", ".", unit="EUR"), "amounts in EUR"),
        (["12 %", "3.5 %"], "number", ColumnReading(unit="%"), "12 % is 12"),
        (["1:23:45", "0:59:10"], "number", ColumnReading(unit="duration"), "in seconds"),
        (["1:23:45", "59:10"], "number", ColumnReading(unit="min:s"), "in seconds"),
        (["2h 30min", "90 min"], "number", ColumnReading(unit="duration"), "in seconds"),
        (["13/02/2024", "02/03/2024"], "date", ColumnReading(dates="day-first"), ""),
        (["02/13/2024", "02/03/2024"], "date", ColumnReading(dates="month-first"), ""),
        (["2024-02-13", "2024-03-01"], "date", None, ""),
        (["20240213", "20240301"], "date", None, ""),
    ],
)
def test_what_is_found(
    cells: Sequence[str], kind: str, reading: ColumnReading | None, note: str, tmp_path: Path
) -> None:
    outlined = found(tmp_path, cells)
    assert outlined.columns["x"] == kind
    assert outlined.reading.columns.get("x") == reading
    assert note in " ".join(outlined.notes.get("x", ()))
    assert not note or any("  x: " in line and note in line for line in outlined.lines)


@pytest.mark.parametrize(
    ("cells", "told", "fix"),
    [
        (["$12", "15 €"], "amounts in several units (12 in $, 12 in EUR of 24 cells)", "{unit: $}"),
        (["1.799 €", "1.659 €"], "amounts such as 1.799 €", "{decimal: point}"),
        (["1:23", "0:59"], "times such as 1:23", "{unit: min:s}"),
        (["03/04/2024", "05/04/2024"], "with the day or the month first", "{dates: month-first}"),
        (["13/04/2024", "04/13/2024"], "dates in two orders", "{dates: day-first}"),
    ],
)
def test_what_is_ambiguous_is_asked_for(
    cells: Sequence[str], told: str, fix: str, tmp_path: Path
) -> None:
    outlined = found(tmp_path, cells)
    kind = "date" if "dates" in fix else "number"
    assert outlined.columns["x"] == "ignore"
    assert told in outlined.reasons["x"]
    settings = [word for word in shlex.split(outlined.reasons["x"]) if "dataset.reading" in word]
    assert f"dataset.reading.columns={{x: {fix}}}" in settings
    with pytest.raises(UserError, match=r"dataset\.columns: x: "):
        found(tmp_path, cells, columns={"x": kind})
    name, _, value = fix.strip("{}").partition(": ")
    said = ColumnReading(**{name: {"point": "."}.get(value, value)})
    again = found(tmp_path, cells, reading=Reading(columns={"x": said}))
    half = kind == "number" and cells == ["$12", "15 €"]  # the others are then no numbers
    assert again.columns["x"] == ("category" if half else kind)


def test_decimal_commas_of_a_file_with_semicolons(tmp_path: Path) -> None:
    outlined = found(tmp_path, ["12,5", "1,234"], ";")
    assert outlined.reading.columns == {"x": ColumnReading(",")}
    assert (outlined.columns["x"], outlined.columns["n"]) == ("number", "number")
    assert found(tmp_path, ["1,234", "2,345"], ";").columns["x"] == "ignore"


def test_names_of_columns_that_are_read_otherwise(tmp_path: Path) -> None:
    reading = Reading(columns={"X": ColumnReading(missing=("?",))})
    assert list(found(tmp_path, ["?", "a", "b"], reading=reading).reading.columns) == ["x"]
    with pytest.raises(UserError, match=r"dataset\.reading\.columns: the table has no column 'z'"):
        found(tmp_path, ["a"], reading=Reading(columns={"z": ColumnReading()}))
