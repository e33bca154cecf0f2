"""Names of classes and levels, whatever a format makes of their values."""

from __future__ import annotations

import pytest

from jlrun.data.tables.files.levels import Levels, Missing, level_name


@pytest.mark.parametrize(
    ("cells", "name"),
    [
        (("True", "TRUE", "true"), "true"),
        (("False", "FALSE", "false"), "false"),
        (("5", "5.0", "5.", "5.00", "+5"), "5"),
        (("0", "-0", "0.0", "-0.0"), "0"),
        (("-3.0",), "-3"),
        (("1e+16", "10000000000000000"), "10000000000000000"),
        (("2020-01-01", "2020-01-01 00:00:00", "2020-01-01T00:00:00.000"), "2020-01-01"),
        (("2020-01-01T10:20:00.500", "2020-01-01 10:20:00.5"), "2020-01-01 10:20:00.5"),
        (("2020-01-01T00:00:00Z", "2020-01-01 00:00:00+00:00"), "2020-01-01 00:00:00+00:00"),
    ],
)
def test_one_value_has_one_name(cells: tuple[str, ...], name: str) -> None:
    assert {level_name(cell) for cell in cells} == {name}


@pytest.mark.parametrize("cell", ["007", "1e5", "1_2", "3.10", "t", "True story", "x.0", "1.2.0"])
def test_names_stay_as_they_are(cell: str) -> None:
    assert level_name(cell) == cell


def test_equal_numbers_are_found_where_no_name_is_the_same() -> None:
    levels = Levels(["0.50", "2", "1e-05", "3.1", "3.10", "007"])
    assert [levels.find(n) for n in ("0.5", "2.00", "0.00001", "3.1", "3.10")] == [0, 1, 2, 3, 4]
    assert levels.find("3.100") is None  # it may be either
    assert levels.find("7") is None
    assert levels.find("true") is None


@pytest.mark.parametrize("names", [("false", "true"), ("0", "1")])
def test_booleans_are_0_and_1_where_all_names_are_such(names: tuple[str, ...]) -> None:
    assert [Levels(names).find(name) for name in ("false", "0", "true", "1")] == [0, 0, 1, 1]
    assert Levels(("0", "1", "2")).find("true") is None


def test_missing_numbers_are_missing_however_they_are_written() -> None:
    missing = Missing(["-999", "n/a"])
    assert all(cell in missing for cell in ("-999", "-999.0", "n/a"))
    assert "999" not in missing
