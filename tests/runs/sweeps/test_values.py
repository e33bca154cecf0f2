"""Values of a sweep: decimal ranges, each value once."""

from __future__ import annotations

import pytest

from jlrun.errors import UserError
from jlrun.runs.sweeps.values import decimal_range, settled_values


@pytest.mark.parametrize(
    ("start", "stop", "step", "expected"),
    [
        (0.3, 0.9, 0.3, ["0.3", "0.6"]),  # in binary a third, 0.8999999999999999
        (0.1, 1.0, 0.1, [f"0.{i}" for i in range(1, 10)]),
        (0, 1, 0.25, ["0.0", "0.25", "0.5", "0.75"]),
        (0.9, 0.3, -0.3, ["0.9", "0.6"]),
        (1e-3, 4e-3, 1e-3, ["0.001", "0.002", "0.003"]),
        (1.0, 0.5, 0.1, []),
    ],
)
def test_ranges_are_added_as_decimal_numbers(
    start: float, stop: float, step: float, expected: list[str]
) -> None:
    assert decimal_range(start, stop, step) == expected


@pytest.mark.parametrize(
    ("given", "settled"),
    [
        ("lambda_=range(0.3,0.9,0.3)", "lambda_=0.3,0.6"),
        ("lambda_=range(start=0.3,step=0.3,stop=0.9)", "lambda_=0.3,0.6"),
        ("lambda_=range(0.3,0.9,0.3),1", "lambda_=0.3,0.6,1"),
        ("lambda_=shuffle(range(0.3,0.9,0.3))", "lambda_=shuffle(choice(0.3,0.6))"),
        ("seed=range(0,3)", "seed=range(0,3)"),
        ("seed=0,1", "seed=0,1"),
        ("optimizer.lr=1e-3", "optimizer.lr=1e-3"),
        ("data_root='range(0.3,0.9,0.3)'", "data_root='range(0.3,0.9,0.3)'"),
    ],
)
def test_only_ranges_of_fractions_are_written_out(given: str, settled: str) -> None:
    assert settled_values([given]) == ([settled], [])


@pytest.mark.parametrize(
    ("given", "settled", "repeated"),
    [
        ("seed=0,0,1,0", "seed=0,1", "seed: 0"),
        ("lambda_=.3,0.30,3e-1", "lambda_=0.3", "lambda_: 0.3"),
        ("lambda_=1,1.0,2", "lambda_=1,2", "lambda_: 1.0"),
        ("weighting=equal,famo,equal", "weighting=equal,famo", "weighting: equal"),
        ("dataset.classes=[1,2],[2,1],[1,2]", "dataset.classes=[1,2],[2,1]", "[1,2]"),
        ("epochs=int(range(0,1,0.4))", "epochs=0", "epochs: 0"),
    ],
)
def test_a_value_that_is_given_twice_runs_once_and_it_is_said(
    given: str, settled: str, repeated: str
) -> None:
    overrides, lines = settled_values([given])
    assert overrides == [settled]
    assert repeated in lines[0]
    assert "equal jobs run once" in lines[0]


def test_values_of_different_types_are_different() -> None:
    given = ["a=true,1,'1','true'"]
    assert settled_values(given) == (given, [])


@pytest.mark.parametrize(
    "text",
    ["range(0.1,1,0)", "range(1.0,0.5,0.1)", "range(0.0,1e9,0.1)", "range(0,3,0)", "range(3,0)"],
)
def test_a_range_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"lambda_.*range"):
        settled_values([f"lambda_={text}"])
