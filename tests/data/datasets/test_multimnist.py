"""MultiMNIST: its pixels against Pillow's, its splits, from small files in MNIST's format."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from jlrun.data.datasets.multimnist import load_multimnist, on_one_canvas
from jlrun.data.rows import Rows
from jlrun.errors import UserError

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
