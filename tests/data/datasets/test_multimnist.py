"""Two digits on one canvas."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from jlrun.data.datasets.digits import digit_images, load_digits
from jlrun.data.datasets.multimnist import (
    divide_singles,
    load_multidigits,
    load_multimnist,
    on_one_canvas,
    overlap,
)
from jlrun.data.rows import Rows
from jlrun.data.splits import Subset, make_splits
from jlrun.errors import UserError


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


SHARED = Path(__file__).parents[4] / "shared" / "data"
TRAIN, TEST = 60, 20


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """MNIST whose image number i is of brightness 100 + i all over, and a digit i % 10."""
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name, first, count in (("train", 100, TRAIN), ("t10k", 200, TEST)):
        numbers = np.arange(count, dtype=np.uint8)
        images = np.broadcast_to((first + numbers)[:, None, None], (count, 28, 28))
        (folder / f"{name}-images-idx3-ubyte").write_bytes(idx(images.astype(np.uint8)))
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(idx(numbers % 10))
    return tmp_path


def columns(rows: Rows | None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    assert rows is not None
    batch = rows.fetch(torch.arange(len(rows)))
    return batch.inputs["image"][:, 0], batch.targets["left"], batch.targets["right"]


def as_published(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The recipe step by step, in NumPy and Pillow: imresize stretches, then resizes a uint8."""
    canvas = np.zeros((36, 36))
    canvas[0:28, 0:28] = left
    canvas[6:34, 6:34] = right
    canvas[6:28, 6:28] = np.maximum(left[6:28, 6:28], right[0:22, 0:22])
    stretched = (canvas - canvas.min()) * (255.0 / (canvas.max() - canvas.min()))
    pixels = (stretched.clip(0, 255) + 0.5).astype(np.uint8)
    return np.array(Image.fromarray(pixels).resize((28, 28), Image.Resampling.NEAREST))


def test_pixels_are_those_of_the_recipe() -> None:
    generator = np.random.default_rng(0)
    left, right = generator.integers(0, 250, (2, 8, 28, 28), dtype=np.uint8)
    ours = on_one_canvas(torch.from_numpy(left)[:, None], torch.from_numpy(right)[:, None])
    expected = np.stack([as_published(a, b) for a, b in zip(left, right, strict=True)])
    assert ours.dtype == torch.uint8
    assert np.array_equal(ours[:, 0].numpy(), expected)


def test_an_empty_canvas_stays_empty() -> None:
    empty = torch.zeros(1, 1, 28, 28, dtype=torch.uint8)
    assert on_one_canvas(empty, empty).unique().tolist() == [0]


def test_a_sixth_of_the_training_images_makes_the_validation_pairs(root: Path) -> None:
    dataset = load_multimnist(str(root), download=False)
    assert dataset.val is not None
    assert dataset.test is not None
    assert (len(dataset.train), len(dataset.val), len(dataset.test)) == (50, 10, 20)
    assert dataset.train.fetch(torch.tensor([0])).inputs["image"].shape == (1, 1, 28, 28)
    assert columns(dataset.val)[1].sort().values.tolist() == list(range(10))  # stratified


def test_each_image_is_on_the_left_once(root: Path) -> None:
    dataset = load_multimnist(str(root), download=False)
    assert columns(dataset.test)[1].bincount().tolist() == [2] * 10
    assert columns(dataset.train)[1].bincount().tolist() == [5] * 10


def test_targets_say_what_is_where(root: Path) -> None:
    images, left, right = columns(load_multimnist(str(root), download=False).test)
    told = zip(images[:, 0, 0].tolist(), images[:, -3, -3].tolist(), left, right, strict=True)
    for above, below, one, other in told:
        assert 255 in (above, below)
        # Of 200 + i and 200 + j, stretched so that the larger one is 255.
        fits = [
            (i % 10, j % 10)
            for i in range(TEST)
            for j in range(TEST)
            if round(255 * (200 + i) / (200 + max(i, j))) == above
            and round(255 * (200 + j) / (200 + max(i, j))) == below
        ]
        assert (int(one), int(other)) in fits


def test_no_single_image_occurs_in_two_splits(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Without the stretch, a pair shows the brightness, and so the number, of both its images.
    def unstretched(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return torch.cat([left, right], dim=3)

    monkeypatch.setattr("jlrun.data.datasets.multimnist.on_one_canvas", unstretched)
    dataset = load_multimnist(str(root), download=False, num_train=500)
    assert dataset.val is not None
    assert dataset.test is not None
    train, val, test = (
        set(columns(rows)[0][:, 0].unique().tolist())
        for rows in (dataset.train, dataset.val, dataset.test)
    )
    assert (len(train), len(val), len(test)) == (50, 10, 20)
    assert not train & val
    assert train | val == set(range(100, 160))
    assert test == set(range(200, 220))


@pytest.mark.parametrize("count", [1, 50, 51, 120])
def test_fewer_and_more_pairs_than_images(root: Path, count: int) -> None:
    rows = load_multimnist(str(root), download=False, num_train=count, num_val=3, num_test=4)
    assert rows.val is not None
    assert rows.test is not None
    assert (len(rows.train), len(rows.val), len(rows.test)) == (count, 3, 4)


def test_the_seed_draws_the_pairs(root: Path) -> None:
    def images(seed: int) -> torch.Tensor:
        return columns(load_multimnist(str(root), download=False, seed=seed).train)[0]

    assert torch.equal(images(0), images(0))
    assert not torch.equal(images(0), images(1))


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_multimnist(str(tmp_path), download=False)
    assert "train-images-idx3-ubyte" in str(caught.value)
    assert str(tmp_path / "MNIST") in str(caught.value)


@pytest.mark.skipif(
    not (SHARED / "MNIST").is_dir(), reason="the shared data are not beside this checkout"
)
def test_real_digits() -> None:
    dataset = load_multimnist(str(SHARED), download=False, num_train=1000, num_val=500)
    images, left, right = columns(dataset.test)
    assert len(images) == 10_000
    assert left.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert ((right.bincount() - 1000).abs() < 250).all()  # drawn from those counts
    # That of MNIST's test images is 0.1325: twice, on (28 / 36)² of the area, less the overlap.
    assert 0.14 < float(images.double().mean()) / 255 < 0.16
    assert images.amax(dim=(1, 2)).float().mean() > 250
