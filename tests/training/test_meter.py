"""Means of many steps at once are those of one step after the other."""

from __future__ import annotations

import math

import pytest
import torch

from jlrun.training.loop import _point_due
from jlrun.training.meter import MAX_WAITING, Meter
from jlrun.training.stats import StepStats


def stats(number: int) -> StepStats:
    measured = number % 3 != 0
    return StepStats(
        loss_sums=torch.tensor([4 * number / 7, 2 * 0.5 * measured]),
        labelled=(4, 2 * measured),
        term_losses=torch.tensor([number / 11]),
        total_loss=torch.tensor(number / 13),
        grad_norm=torch.tensor(number / 17),
        num_rows=4,
        readings={"balance/k": torch.tensor(number / 19 if measured else math.nan)},
    )


@pytest.mark.parametrize("count", [1, 5, MAX_WAITING, 2 * MAX_WAITING + 3])
def test_means_are_over_the_steps_that_measured(count: int) -> None:
    meter = Meter(["a", "b"], ["l2"])
    for number in range(1, count + 1):
        meter.add(stats(number))
    every, some = range(1, count + 1), [n for n in range(1, count + 1) if n % 3]
    expected = {
        "train/a/loss": sum(every) / 7 / count,
        "train/b/loss": 0.5,
        "train/l2/loss": sum(every) / 11 / count,
        "train/total_loss": sum(every) / 13 / count,
        "train/grad_norm": sum(every) / 17 / count,
        "balance/k": sum(some) / 19 / len(some),
    }
    assert meter.means() == pytest.approx(expected, rel=1e-6)


def test_a_last_step_of_few_rows_counts_with_its_rows() -> None:
    meter = Meter(["a"], ["l2"])
    for mean, rows in ((0.9, 64), (1.1, 64), (40.0, 2)):
        loss = torch.tensor(mean)
        meter.add(StepStats(loss[None] * (rows // 2), (rows // 2,), loss[None], loss, loss, rows))
    means = meter.means()
    assert means.pop("train/grad_norm") == pytest.approx(14)  # over steps
    assert means == pytest.approx(dict.fromkeys(means, (0.9 * 64 + 1.1 * 64 + 40 * 2) / 130))
    assert len(means) == 3


@pytest.mark.parametrize(
    ("steps_per_epoch", "log_every", "ends"),
    [(23, 10, [12, 23]), (21, 10, [11, 21]), (5, 10, [5]), (1, 100, [1]), (3, 1, [1, 2, 3])],
)
def test_points_of_curves_divide_an_epoch_evenly(
    steps_per_epoch: int, log_every: int, ends: list[int]
) -> None:
    steps = range(1, 3 * steps_per_epoch + 1)
    due = [step for step in steps if _point_due(step, steps_per_epoch, log_every)]
    assert due == [end + epoch * steps_per_epoch for epoch in range(3) for end in ends]


def test_a_checkpoint_in_between_changes_no_digit() -> None:
    whole, first, second = (Meter(["a", "b"], ["l2"]) for _ in range(3))
    for number in range(1, 21):
        whole.add(stats(number))
        (first if number <= 12 else second).add(stats(number))
        if number == 12:
            second.load_state_dict(first.state_dict())
    assert second.means() == whole.means()


def test_steps_that_wait_are_forgotten_with_the_others() -> None:
    meter = Meter(["a", "b"], ["l2"])
    meter.add(stats(1))
    meter.reset()
    assert meter.means() == {}
