"""Two digits on one canvas."""

from __future__ import annotations

import pytest
import torch

from jlrun.data.datasets.digits import digit_images, load_digits
from jlrun.data.datasets.multimnist import divide_singles, load_multidigits, overlap
from jlrun.data.rows import Rows
from jlrun.data.splits import Subset, make_splits


def corners(rows: Rows, side: int) -> set[tuple[int, ...]]:
    """The pixels of all left and right digits of pairs that do not overlap."""
    images = rows.fetch(torch.arange(len(rows))).inputs["image"][:, 0]
    both = torch.cat([images[:, :side, :side], images[:, -side:, -side:]])
    return {tuple(x) for x in both.flatten(1).tolist()}


def test_sizes_of_the_official_splits() -> None:
    dataset = load_multidigits()
    assert dataset.val is not None
    assert dataset.test is not None
    assert (len(dataset.train), len(dataset.val), len(dataset.test)) == (6000, 1200, 1500)
    assert dataset.train.fetch(torch.tensor([0])).inputs["image"].shape == (1, 1, 10, 10)


def test_singles_are_divided_stratified_and_completely() -> None:
    _, digit = digit_images()
    parts = divide_singles(digit, seed=0)
    assert {name: len(part) for name, part in parts.items()} == {
        "train": 1079,
        "val": 359,
        "test": 359,
    }
    assert torch.cat(list(parts.values())).sort().values.tolist() == list(range(1797))
    for name, share in (("train", 0.6), ("val", 0.2), ("test", 0.2)):
        assert ((digit[parts[name]].bincount() - share * digit.bincount()).abs() < 2).all()


def test_no_single_digit_occurs_in_two_splits() -> None:
    dataset = load_multidigits(canvas=16)  # side by side: each corner is one whole digit
    assert dataset.val is not None
    assert dataset.test is not None
    train, val, test = (corners(rows, 8) for rows in (dataset.train, dataset.val, dataset.test))
    assert len(train) > 1000
    assert not train & val
    assert not train & test
    assert not val & test


def test_targets_say_what_is_in_the_corners() -> None:
    images, digit = digit_images()
    known = {tuple(x): int(y) for x, y in zip(images.flatten(1).tolist(), digit, strict=True)}
    rows = load_multidigits(num_train=200, canvas=16).train
    batch = rows.fetch(torch.arange(200))
    pairs = batch.inputs["image"][:, 0]
    left = [known[tuple(x)] for x in pairs[:, :8, :8].flatten(1).tolist()]
    right = [known[tuple(x)] for x in pairs[:, 8:, 8:].flatten(1).tolist()]
    assert batch.targets["left"].tolist() == left
    assert batch.targets["right"].tolist() == right


def test_left_and_right_are_drawn_independently() -> None:
    targets = load_multidigits().train.targets
    counts = torch.zeros(10, 10)
    counts.index_put_((targets["left"], targets["right"]), torch.ones(6000), accumulate=True)
    assert counts.min() > 30  # 60 expected, standard deviation 7.7
    assert counts.max() < 95


def test_the_brighter_pixel_wins() -> None:
    left = torch.tensor([[[[1, 2], [3, 4]]]], dtype=torch.uint8)
    right = torch.tensor([[[[5, 1], [1, 1]]]], dtype=torch.uint8)
    expected = torch.tensor([[[[1, 2, 0], [3, 5, 1], [0, 1, 1]]]], dtype=torch.uint8)
    assert torch.equal(overlap(left, right, 3), expected)
    assert overlap(right, left, 3)[0, 0, 1, 1] == 1


@pytest.mark.parametrize("canvas", [8, 16])
def test_smallest_and_largest_canvas(canvas: int) -> None:
    rows = load_multidigits(num_train=5, num_val=5, num_test=5, canvas=canvas).train
    assert rows.fetch(torch.arange(5)).inputs["image"].shape == (5, 1, canvas, canvas)


def test_other_counts_leave_other_splits_alone() -> None:
    few = load_multidigits(num_train=10).test
    many = load_multidigits(num_train=500).test
    assert few is not None
    assert many is not None
    rows = torch.arange(1500)
    assert torch.equal(few.fetch(rows).inputs["image"], many.fetch(rows).inputs["image"])


def test_the_test_singles_are_the_test_rows_of_digits() -> None:
    _, digit = digit_images()
    splits = make_splits(load_digits(), Subset(), seed=3)
    assert divide_singles(digit, seed=0)["test"].tolist() == splits.test.indices.tolist()
