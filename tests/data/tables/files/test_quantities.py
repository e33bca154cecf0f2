"""Amounts of money, percentages and durations, as people write them."""

from __future__ import annotations

import pytest

from jlrun.data.tables.files.numbers import Marks, to_numbers
from jlrun.data.tables.files.quantities import seconds_of, unit_of


@pytest.mark.parametrize(
    ("cell", "unit", "marks", "value"),
    [
        ("$1,234", "$", Marks(".", ",", "$"), 1234),
        ("1.234 €", "EUR", Marks(",", ".", "EUR"), 1234),
        ("EUR 1.234,50", "EUR", Marks(",", ".", "EUR"), 1234.5),
        ("1\u00a0234,50 €", "EUR", Marks(",", " ", "€"), 1234.5),
        ("USD 12", "USD", Marks(unit="USD"), 12),
        ("-$5.50", "$", Marks(unit="$"), -5.5),
        ("($1,234.00)", "$", Marks(".", ",", "$"), -1234),
        ("12,- €", "EUR", Marks(",", unit="EUR"), 12),
        ("1'200.50 CHF", "CHF", Marks(".", "'", "CHF"), 1200.5),
        ("12 %", "%", Marks(unit="%"), 12),
        ("3,57%", "%", Marks(",", unit="%"), 3.57),
    ],
)
def test_a_number_next_to_its_unit(cell: str, unit: str, marks: Marks, value: float) -> None:
    found = unit_of(cell)
    assert found is not None
    assert found[0] == unit
    values, wrong = to_numbers([cell, "7"], marks)  # the unit may be left out
    assert (values.tolist(), wrong) == ([pytest.approx(value), 7], [])


@pytest.mark.parametrize("cell", ["A12", "12 m²", "3rd", "$", "PHP 7", "ca. 5 €", "12 $ 3", "12"])
def test_what_has_no_known_unit(cell: str) -> None:
    assert unit_of(cell) is None


def test_another_currency_is_no_number() -> None:
    assert to_numbers(["12 €", "$12", "12 %"], Marks(unit="EUR"))[1] == [1, 2]
    assert to_numbers(["1" + " " * 20_000 + "x"], Marks(unit="EUR"))[1] == [0]  # and at once
    assert to_numbers(["12 m²", "3"], Marks(unit="m²"))[0].tolist() == [12, 3]


@pytest.mark.parametrize(
    ("cell", "seconds"),
    [
        ("1:23:45", 5025),
        ("0:00:01.5", 1.5),
        ("2h 30min", 9000),
        ("2h30", 9000),
        ("90 min", 5400),
        ("5m 3s", 303),
        ("1.5 h", 5400),
        ("2 Std. 15 Min.", 8100),
        ("1 hour and 5 minutes", 3900),
        ("1 day, 2:03:04", 93784),
        ("0 days 01:23:45", 5025),
        *[(cell, None) for cell in ("90 m", "1:23", "3d", "2h 2h", "10 mm", "5 min ago", "", "7")],
    ],
)
def test_durations_in_seconds(cell: str, seconds: float | None) -> None:
    assert seconds_of(cell) == seconds


def test_two_fields_of_a_clock_are_read_as_said() -> None:
    assert (seconds_of("1:23", "h:min"), seconds_of("1:23", "min:s")) == (4980, 83)
    assert to_numbers(["1:23", "90 min", ""], Marks(unit="min:s"))[0].tolist()[:2] == [83, 5400]
