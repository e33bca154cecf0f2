"""Dates in cells."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from jlrun.data.tables.files.dates import Order, evidence_of, seconds_of, to_dates

DAY = datetime(2024, 3, 2, tzinfo=UTC)
TIME = datetime(2024, 3, 2, 17, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cell", "order", "expected"),
    [
        *[(cell, None, DAY) for cell in ("2024-03-02", "2024/3/2", "20240302", "02.03.2024")],
        *[(cell, None, DAY) for cell in ("2 March 2024", "Mar 2nd, 2024", "02-Mar-2024")],
        ("02/03/2024", "day-first", DAY),
        ("03/02/2024", "month-first", DAY),
        ("2024-03-02T17:30", None, TIME),
        ("2024-03-02 17:30:00.000", None, TIME),
        ("2024-03-02T17:30:00Z", None, TIME),
        ("2024-03-02 19:30:00+02:00", None, TIME),
        ("3/2/2024 5:30 PM", "month-first", TIME),
    ],
)
def test_a_date_is_seconds_since_1970(cell: str, order: Order | None, expected: datetime) -> None:
    assert seconds_of(cell, order) == expected.timestamp()


@pytest.mark.parametrize(
    "cell",
    ["2024-02-30", "2024-03-01 25:00", "13/13/2024", "1/2/99", "version 3, 2024", "2024", "x"],
)
def test_what_is_no_date(cell: str) -> None:
    assert (evidence_of(cell), seconds_of(cell, "day-first")) == (None, None)


def test_what_a_cell_shows_of_the_order() -> None:
    cells = ["13/02/2024", "02/13/2024", "02/03/2024", "02.03.2024", "05/05/2024", "2024-02-03"]
    orders = ["day-first", "month-first", "either", "day-first", "stated", "stated"]
    assert [evidence_of(cell) for cell in cells] == orders


def test_without_an_order_a_date_is_not_guessed() -> None:
    values, wrong = to_dates(["02/03/2024", "", "05/05/2024"], None)
    assert (wrong, values[2]) == ([0], datetime(2024, 5, 5, tzinfo=UTC).timestamp())
