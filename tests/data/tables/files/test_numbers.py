"""Cells as numbers, with whatever marks are within them."""

from __future__ import annotations

import pytest

from jlrun.data.tables.files.numbers import Marks, to_numbers


@pytest.mark.parametrize(
    ("marks", "cells", "values"),
    [
        (Marks(), ["1.5", "-2e3", "+7"], [1.5, -2000, 7]),
        (
            Marks(thousands=","),
            ["1,234.56", "-12,000", "1,234,567", "3"],
            [1234.56, -12e3, 1234567, 3],
        ),
        (Marks(",", "."), ["5.307,65", "12.000", "0,5"], [5307.65, 12000, 0.5]),
        (Marks(thousands=" "), ["1 234.5", "1\u00a0234", "1\u202f000"], [1234.5, 1234, 1000]),
        (Marks(thousands="'"), ["1'234.5", "1\u2019000"], [1234.5, 1000]),
    ],
)
def test_marks(marks: Marks, cells: list[str], values: list[float]) -> None:
    found, wrong = to_numbers(cells, marks)
    assert (found.tolist(), wrong) == (pytest.approx(values), [])


@pytest.mark.parametrize(
    ("marks", "cell"),
    [
        (Marks(), "1,234"),
        (Marks(","), "5.307"),  # neither 5307 nor 5.307 was said
        (Marks(thousands=","), "0,123"),
        (Marks(thousands=","), "1,23"),
        (Marks(thousands=","), ",123"),
        (Marks(",", "."), "1.23"),
        (Marks(), "true"),
    ],
)
def test_what_may_be_another_number_is_none(marks: Marks, cell: str) -> None:
    assert to_numbers([cell], marks)[1] == [0]


def test_booleans_are_numbers_where_all_cells_are_booleans() -> None:
    assert to_numbers(["True", "", "false"], booleans=True)[0].tolist()[::2] == [1, 0]
    assert to_numbers(["True", "3"], booleans=True)[1] == [0]
