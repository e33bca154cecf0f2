"""Balanced order of rows: expected frequencies, without replacement where there are enough rows."""

from __future__ import annotations

import pytest
import torch

from jlrun.data.balanced_order import balanced_order


def order(counts: list[int], unlabelled: int = 0, seed: int = 0) -> tuple[torch.Tensor, ...]:
    """Return the classes of some rows, shuffled, and their balanced order."""
    classes = torch.cat([torch.full((n,), k) for k, n in enumerate([*counts, unlabelled])])
    classes[len(classes) - unlabelled :] = -1
    generator = torch.Generator().manual_seed(seed)
    classes = classes[torch.randperm(len(classes), generator=generator)]
    return classes, balanced_order(classes, generator)


def test_every_batch_has_all_classes_in_equal_numbers() -> None:
    """Of 90, 24 and 6 rows: 40 of each in an epoch, 4 in each 12, 1 in each 3."""
    classes, found = order([90, 24, 6])
    for size in (3, 12, 120):
        for batch in classes[found].split(size):
            assert batch.bincount().tolist() == [size // 3] * 3
    times = found.bincount(minlength=120)
    assert sorted(set(times[classes == 0].tolist())) == [0, 1]  # 40 of 90
    assert sorted(set(times[classes == 1].tolist())) == [1, 2]  # 40 of 24
    assert sorted(set(times[classes == 2].tolist())) == [6, 7]  # 40 of 6


def test_over_epochs_rows_of_a_class_are_equally_frequent() -> None:
    """The expected number of draws of a row is n / (K n_k) an epoch."""
    classes = torch.tensor([0] * 15 + [1] * 5)
    draws = torch.cat(
        [balanced_order(classes, torch.Generator().manual_seed(seed)) for seed in range(900)]
    )
    means = draws.bincount(minlength=20) / 900
    assert means[:15].tolist() == pytest.approx([10 / 15] * 15, abs=0.06)
    assert means[15:].tolist() == [2.0] * 5


def test_rows_without_a_class_are_in_an_epoch_once() -> None:
    classes, found = order([30, 10], unlabelled=10)
    assert len(found) == 50
    assert (found.bincount(minlength=50)[classes < 0] == 1).all()
    assert classes[found][classes[found] >= 0].bincount().tolist() == [20, 20]
    assert 0 < int((classes[found[:25]] < 0).sum()) < 10  # not at an end


@pytest.mark.parametrize(("counts", "unlabelled"), [([], 4), ([1], 0), ([3, 1], 0), ([0, 2], 0)])
def test_few_rows(counts: list[int], unlabelled: int) -> None:
    classes, found = order(counts, unlabelled)
    assert len(found) == len(classes)
    assert not len(found) or 0 <= int(found.min()) <= int(found.max()) < len(classes)
