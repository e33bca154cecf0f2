"""Values of a sweep: decimal ranges, each value once."""

from __future__ import annotations

import random
from math import comb
from pathlib import Path

import pytest

from jlrun.errors import UserError
from jlrun.runs.sweeps.values import decimal_range, expand_simplex, settled_values, simplex
from jlrun.runs.sweeps.variants import checked_variants

STATIC = ["mode=multitask", "dataset=multidigits", "weighting=static"]


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


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("num_tasks", "n"), [(2, 5), (3, 7), (4, 6)])
def test_the_points_are_all_of_the_grid_inside_the_simplex(num_tasks: int, n: int) -> None:
    points = list(simplex(num_tasks, n))
    assert len(set(points)) == len(points) == comb(n - 2, num_tasks - 1)
    for weights in points:
        assert sum(weights) == pytest.approx(num_tasks)
        steps = [w * (n - 1) / num_tasks for w in weights]
        assert all(k == pytest.approx(round(k)) and k > 0.5 for k in steps)


def test_equal_weights_are_among_them() -> None:
    assert (1.0, 1.0, 1.0) in simplex(3, 4)
    assert list(simplex(2, 5)) == [(0.5, 1.5), (1.0, 1.0), (1.5, 0.5)]


def test_the_sweep_is_written_out_for_hydra() -> None:
    expanded = expand_simplex([*STATIC, "weighting.weights=simplex(5)", "seed=0,1"])
    weights = "{left:0.5,right:1.5},{left:1,right:1},{left:1.5,right:0.5}"
    assert expanded == [*STATIC, f"weighting.weights={weights}", "seed=0,1"]
    found = [composed.config["weighting"]["weights"] for composed in checked_variants(expanded)]
    assert {"left": 1.5, "right": 0.5} in found


def test_other_overrides_stay_as_they_are() -> None:
    assert expand_simplex(["seed=0,1", "weighting"]) == ["seed=0,1", "weighting"]


def test_only_the_tasks_in_use_are_weighed() -> None:
    draw = random.Random(0).sample(["right", "left"], 2)
    expanded = expand_simplex(
        [*STATIC, f"tasks=[{','.join(draw)}]", "weighting.weights=simplex(3)"]
    )
    assert expanded[-1] == "weighting.weights={left:1,right:1}"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([*STATIC, "weighting.weights=simplex(2)"], "at least simplex(3)"),
        ([*STATIC, "weighting.weights=simplex(0)"], "at least simplex(3)"),
        ([*STATIC, "weighting.weights=simplex(x)"], "expected a whole number of points"),
        ([*STATIC, "weighting.weights=simplex()"], "expected a whole number of points"),
        ([*STATIC, "weighting.weights=simplex(20002)"], "has 20,000 points; take fewer"),
        ([*STATIC, "optimizer.lr=simplex(5)"], "write weighting.weights=simplex(5)"),
        ([*STATIC, "tasks=[left]", "weighting.weights=simplex(5)"], "there is one task"),
        (
            ["mode=multitask", "dataset=multidigits,digits", "weighting.weights=simplex(5)"],
            "the same tasks in all jobs",
        ),
        (["mode=transfer", "weighting.weights=simplex(5)"], "needs mode=multitask"),
    ],
)
def test_wrong_uses_are_told_in_one_line(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError) as raised:
        expand_simplex(overrides)
    (problem,) = raised.value.problems
    assert message in str(problem)
    assert "\n" not in str(problem)


def test_another_weighting_takes_no_weights() -> None:
    overrides = ["mode=multitask", "weighting=equal", "weighting.weights=simplex(5)"]
    with pytest.raises(UserError, match="does not take 'weights'; weighting=static does"):
        checked_variants(expand_simplex(overrides))


def test_a_single_run_is_no_place_for_it() -> None:
    with pytest.raises(UserError, match=r"weighting\.weights: simplex.* add --multirun"):
        checked_variants([*STATIC, "weighting.weights=simplex(5)"])
