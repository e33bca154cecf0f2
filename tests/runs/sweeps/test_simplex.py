"""Sweeps over fixed weights."""

from __future__ import annotations

import random
from math import comb
from pathlib import Path

import pytest

from jlrun.errors import UserError
from jlrun.runs.sweeps.simplex import expand_simplex, simplex
from jlrun.runs.sweeps.variants import checked_variants

STATIC = ["mode=multitask", "dataset=multidigits", "weighting=static"]


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
