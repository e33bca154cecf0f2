"""Mean ranks by hand and against SciPy."""

from __future__ import annotations

import random

import pytest
from scipy.stats import rankdata

from jlrun.runs.sweeps.orders import mean_ranks


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
