"""Fronts and hypervolumes against counting cells."""

from __future__ import annotations

import random
from itertools import product

import pytest
from scipy.stats import rankdata

from jlrun.runs.sweeps.comparison import hypervolume, mean_ranks, nondominated


def test_the_front_of_a_few_points() -> None:
    points = [(1, 3), (2, 2), (1, 2), (3, 1), (3, 1), (0, 3)]
    assert nondominated(points) == [True, True, False, True, True, False]


def test_boxes_that_overlap_are_counted_once() -> None:
    # 3 x 1 + 1 x 2 + ...: the staircase (1, 3), (2, 2), (3, 1) has 3 + 2 + 1 cells.
    assert hypervolume([(1, 3), (2, 2), (3, 1)], (0, 0)) == pytest.approx(6)
    assert hypervolume([(2, 2), (2, 2), (1, 1)], (0, 0)) == pytest.approx(4)
    assert hypervolume([(2, 2, 1), (1, 1, 3)], (0, 0, 0)) == pytest.approx(4 + 3 - 1)


def test_what_lies_below_the_reference_adds_nothing() -> None:
    assert hypervolume([(1, 3), (3, 0.5)], (0, 1)) == pytest.approx(2)
    assert hypervolume([(-1, 5)], (0, 0)) == 0
    assert hypervolume([], (0, 0)) == 0


@pytest.mark.parametrize("num_tasks", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("seed", range(5))
def test_the_volume_is_that_of_the_dominated_cells(num_tasks: int, seed: int) -> None:
    # Corners on a grid, so that counting its cells is exact.
    draw = random.Random(seed)
    points = [[draw.randrange(5) for _ in range(num_tasks)] for _ in range(7)]
    cells = product(range(4), repeat=num_tasks)
    dominated = sum(
        any(all(x > c for x, c in zip(point, cell, strict=True)) for point in points)
        for cell in cells
    )
    assert hypervolume(points, [0] * num_tasks) == pytest.approx(dominated)


def test_permuting_tasks_or_points_changes_nothing() -> None:
    draw = random.Random(0)
    points = [[draw.random() for _ in range(4)] for _ in range(12)]
    volume = hypervolume(points, [0.1] * 4)
    assert hypervolume([p[::-1] for p in points[::-1]], [0.1] * 4) == pytest.approx(volume)
    better = [*points, [1.0] * 4]
    assert hypervolume(better, [0.1] * 4) == pytest.approx(0.9**4)


def test_places_are_averaged_over_tasks_and_ties_share() -> None:
    # Task 1: places 1, 2 and 3 shared as 2.5 each, 4. Task 2: 4, 1, 2, 3.
    scores = [[0.9, 0.1], [0.5, 0.8], [0.5, 0.7], [0.2, 0.3]]
    assert mean_ranks(scores) == [2.5, 1.75, 2.25, 3.5]


def test_the_ranks_are_those_of_scipy() -> None:
    draw = random.Random(0)
    scores = [[float(draw.randrange(5)) for _ in range(3)] for _ in range(8)]
    columns = [rankdata([-x for x in column]) for column in zip(*scores, strict=True)]
    expected = [sum(ranks) / 3 for ranks in zip(*columns, strict=True)]
    assert mean_ranks(scores) == pytest.approx(expected)
