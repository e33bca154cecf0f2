import math
from pathlib import Path

import pytest
import yaml

from jlrun.config.build import build
from jlrun.config.slots import SCHEDULER
from jlrun.training.schedules import Constant, Cosine, OneCycle, Step

FOLDER = Path(__file__).parents[2] / "conf" / "scheduler"
NODES = {file.stem: yaml.safe_load(file.read_text()) for file in sorted(FOLDER.glob("*.yaml"))}


@pytest.mark.parametrize("name", NODES)
@pytest.mark.parametrize("num_steps", [1, 2, 7, 1000])
def test_factors_are_between_0_and_1_at_every_step(name: str, num_steps: int) -> None:
    schedule = build(NODES[name], SCHEDULER)
    factors = [schedule(step, num_steps) for step in range(num_steps)]
    assert all(0 <= factor <= 1 for factor in factors)
    assert max(factors) > 0


def test_warmup_grows_linearly_to_one() -> None:
    assert [Constant(warmup=0.5)(step, 8) for step in range(8)] == [0.25, 0.5, 0.75, 1, 1, 1, 1, 1]


def test_cosine_is_one_after_warmup_and_half_way_down_in_the_middle() -> None:
    schedule = Cosine(warmup=0.2, final=0.1)
    assert schedule(20, 100) == 1.0
    assert schedule(60, 100) == pytest.approx(0.55)
    assert schedule(99, 100) == pytest.approx(0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * 79 / 80)))


def test_step_divides_at_its_milestones() -> None:
    factors = [Step(milestones=(0.5, 0.75), factor=0.1)(step, 8) for step in range(8)]
    assert factors == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01])


def test_one_cycle_peaks_where_it_is_told() -> None:
    schedule = OneCycle(peak=0.25, initial=0.04, final=0.0)
    assert schedule(0, 100) == pytest.approx(0.04)
    assert schedule(25, 100) == pytest.approx(1.0)
    factors = [schedule(step, 100) for step in range(100)]
    assert factors.index(max(factors)) == 25
