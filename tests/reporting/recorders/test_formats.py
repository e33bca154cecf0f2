"""Numbers as they are shown."""

from __future__ import annotations

import pytest

from jlrun.reporting.recorders.formats import (
    format_count,
    format_difference,
    format_estimate,
    format_percent,
    format_score,
    format_seconds,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.9214, "0.921"),
        (0.0, "0.000"),
        (-0.25, "-0.250"),
        (0.0005, "0.001"),
        (0.00012, "1.2e-04"),
        (12345.6, "12345.600"),
        (2.5e7, "2.5e+07"),
        (float("inf"), "inf"),
        (float("nan"), "-"),
        (None, "-"),
    ],
)
def test_score(value: float | None, text: str) -> None:
    assert format_score(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(2.56, "+2.6 %"), (-1.0, "-1.0 %"), (0.04, "0.0 %"), (-0.04, "0.0 %")]
)
def test_percent(value: float, text: str) -> None:
    assert format_percent(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(5.14, "5.1 s"), (0.04, "0.0 s"), (62, "1:02 min"), (59.97, "1:00 min"), (3723.4, "1:02:03")],
)
def test_seconds(value: float, text: str) -> None:
    assert format_seconds(value) == text


@pytest.mark.parametrize(
    ("value", "half_width", "text"),
    [
        (0.1012, 0.0359, "+0.101 ± 0.036"),
        (-0.00186, 0.0126, "-0.002 ± 0.013"),
        (0.1, 0.0349, "+0.100 ± 0.035"),
        (-0.0001, 0.25, "+0.00 ± 0.25"),
        (-1234.5, 456.7, "-1,234 ± 457"),
        (0.0234, None, "+0.023"),
        (0.0234, 0.0, "+0.023"),
    ],
)
def test_estimate(value: float, half_width: float | None, text: str) -> None:
    assert format_estimate(value, half_width) == text


def test_count_and_difference() -> None:
    assert format_count(78410) == "78,410"
    assert format_count(2100.4) == "2,100"
    assert format_difference(0.0234) == "+0.023"
    assert format_difference(-0.1) == "-0.100"
