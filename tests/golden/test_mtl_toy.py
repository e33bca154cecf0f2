"""The toy problem of CAGrad, Nash-MTL and FAMO: who reaches the Pareto front, and where.

What is expected is what `benchmarks/results/mtl_toy.md` reports of all starts. That the plain sum
is stuck from (9, 9), PCGrad and CAGrad too, and that the others are not, is what the papers show:
figure 1 of Navon et al., "Multi-Task Learning as a Bargaining Game", ICML 2022.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import jlrun
from benchmarks.mtl_toy import (
    LR,
    PairAdam,
    draw,
    follow,
    losses_and_gradients,
    make_weighting,
    on_front,
    read_run,
    table_head,
    table_row,
)
from jlrun.data.datasets.mtl_toy import toy_losses

HARD = (9.0, 9.0)


def test_gradients_are_those_of_autograd() -> None:
    generator = torch.Generator().manual_seed(0)
    points = 20 * torch.rand(100, 2, generator=generator, dtype=torch.float64) - 10
    for x in torch.cat([points, torch.zeros(1, 2)]):
        losses, gradients = losses_and_gradients(*x.tolist())
        jacobian = torch.autograd.functional.jacobian(toy_losses, x)
        assert isinstance(jacobian, torch.Tensor)
        torch.testing.assert_close(torch.tensor(losses, dtype=x.dtype), toy_losses(x))
        torch.testing.assert_close(torch.tensor(gradients, dtype=x.dtype), jacobian)


def test_adam_is_that_of_pytorch() -> None:
    x, ours = torch.nn.Parameter(torch.tensor([3.0, -2.0], dtype=torch.float64)), [3.0, -2.0]
    theirs, adam = torch.optim.Adam([x], LR), PairAdam()
    for step in range(50):
        gradient = [(-1.0) ** step + 0.1 * step, 1e-9 * step]
        x.grad = torch.tensor(gradient, dtype=torch.float64)
        theirs.step()
        adam.step(ours, gradient)
    assert x.tolist() == pytest.approx(ours, abs=1e-13)


def test_the_plain_sum_ends_where_its_minimum_is() -> None:
    # ∂(f₁ + f₂)/∂x₁ = 0 at 0.1 (x₁ − 7) + (x₁ + 7) = 0 below x₂ = 0
    path = follow(make_weighting("equal"), (-7.5, -0.5), 20_000)
    assert path.end == pytest.approx((-6.3 / 1.1, -8.41), abs=0.02)
    assert on_front(path.end)


def test_the_table_and_the_picture_show_what_happened(tmp_path: Path) -> None:
    paths = [follow(make_weighting("equal"), HARD, 200)] * 5
    head, _ = table_head().splitlines()
    row = table_row("equal", paths, 200)
    assert row.count("|") == head.count("|")
    assert row.startswith("| equal | 0/5 | (8.8, 8.8) |")
    draw({"equal": paths, "same": paths}).savefig(tmp_path / "paths.png")
    assert (tmp_path / "paths.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("weighting", "settings"),
    [
        ("equal", []),
        ("mgda", []),
        ("famo", ["weighting.gamma=0", "weighting.lower_bounds={f1: -2.1, f2: -21}"]),
    ],
    ids=["equal", "mgda", "famo"],
)
def test_a_run_goes_the_way_of_the_direct_drive(
    tmp_path: Path, weighting: str, settings: list[str]
) -> None:
    start = (-8.5, 7.5)
    jlrun.run(
        [
            "experiment=mtl_toy",
            f"weighting={weighting}",
            *settings,
            "epochs=3",
            "engine.threads=1",
            "recorder.progress=none",
            "recorder.figures=false",
            f"hydra.run.dir={tmp_path / 'run'}",
        ]
    )
    _, found = read_run(tmp_path / "run")
    expected = follow(make_weighting(weighting), start, 300)
    assert found.points.shape == (4, 2)
    # the run is in single precision
    assert found.points == pytest.approx(expected.points, abs=1e-4)


# Starts below the valleys, from which the way is smooth: the end does not hang on rounding.
LEFT, RIGHT = (-7.5, -0.5), (9.0, -1.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("weighting", "start", "x1", "steps"),
    [
        ("mgda", LEFT, -4.3, 12_000),
        ("nash", LEFT, -3.3, 9_000),
        ("cagrad", LEFT, -5.7, 20_000),
        # on its way along the front to -1.0, where it is after 50,000 steps
        ("famo", LEFT, -1.5, 20_000),
        ("pcgrad", RIGHT, 5.0, 12_000),
        # By other code for two tasks: the direction g_1 / ‖g_1‖ + g_2 / ‖g_2‖ of IMTL-G and DB-MTL,
        # and FairGrad by bisection.
        ("imtl_g", LEFT, -3.4, 14_000),
        ("db_mtl", LEFT, -3.7, 20_000),
        ("fairgrad", LEFT, -3.6, 9_000),  # it trembles on the front
    ],
)
def test_from_below_to_the_front(
    weighting: str, start: tuple[float, float], x1: float, steps: int
) -> None:
    path = follow(make_weighting(weighting), start, steps)
    assert on_front(path.end)
    assert path.end[0] == pytest.approx(x1, abs=0.1)


@pytest.mark.slow
def test_from_the_hard_start() -> None:
    stuck = follow(make_weighting("equal"), HARD, 50_000)
    assert not on_front(stuck.end)
    assert stuck.end == pytest.approx((5.0, 3.95), abs=0.1)
    assert on_front(follow(make_weighting("mgda"), HARD, 30_000).end)
