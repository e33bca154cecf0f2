"""Scenes in the form of LibMTL: what is read, when, and one clear line for what may be wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from jlrun.data.augmentation.augment import Augment
from jlrun.data.datasets.npy_scenes import load_cityscapes, load_nyuv2
from jlrun.data.sources import load_all
from jlrun.data.splits import Subset, make_splits
from jlrun.data.streams import Stream
from jlrun.errors import UserError
from tests.data.scenes import write_scenes

CPU = torch.device("cpu")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_scenes(tmp_path / "nyuv2", {"train": 11, "val": 2}, ("label", "depth", "normal"), 13)
    return tmp_path


def read(root: Path, split: str, kind: str, row: int) -> np.ndarray:
    return np.load(root / "nyuv2" / split / kind / f"{row}.npy")


def test_rows_are_what_the_files_hold_in_the_order_of_their_numbers(root: Path) -> None:
    dataset = load_nyuv2(str(root))
    assert dataset.test is not None
    assert (len(dataset.train), dataset.val, len(dataset.test)) == (11, None, 2)
    batch = dataset.train.fetch(torch.tensor([10, 2]))
    for position, row in enumerate((10, 2)):
        image = np.round(read(root, "train", "image", row).transpose(2, 0, 1) * 255)
        assert np.array_equal(batch.inputs["image"][position], image)
        label = read(root, "train", "label", row)
        assert np.array_equal(batch.targets["segmentation"][position], label % 256)
        depth = read(root, "train", "depth", row)[:, :, 0]
        assert np.array_equal(batch.targets["depth"][position], depth)
        normal = read(root, "train", "normal", row).transpose(2, 0, 1)
        assert np.array_equal(batch.targets["normal"][position], normal)


def test_nothing_is_read_before_it_is_needed_and_all_of_it_counts(root: Path) -> None:
    dataset = load_nyuv2(str(root))
    assert {y.shape for y in dataset.train.targets.values()} == {(11, 0)}
    everything = load_all(dataset.train, CPU)
    held = [*everything.inputs.values(), *everything.targets.values()]
    assert dataset.train.num_bytes == sum(x.numel() * x.element_size() for x in held)
    assert len(dataset.classes["segmentation"]) == 13


def test_streamed_batches_are_those_from_memory(root: Path) -> None:
    splits = make_splits(load_nyuv2(str(root)), Subset(), seed=0)
    assert (len(splits.train), len(splits.val), len(splits.test)) == (9, 2, 2)

    def stream(memory_budget: int, workers: int) -> Stream:
        return Stream(
            "dataset",
            splits.train,
            specs=splits.modalities,
            batch_size=4,
            seed=0,
            device=CPU,
            memory_budget=memory_budget,
            workers=workers,
        )

    for held, streamed in zip(
        stream(2**30, 0).batches(0, 3), stream(0, 1).batches(0, 3), strict=True
    ):
        assert torch.equal(held.inputs["image"], streamed.inputs["image"])
        for task, maps in held.targets.items():
            assert maps.shape[0] == held.size
            assert torch.equal(maps, streamed.targets[task])


def test_augmentation_that_would_leave_the_maps_behind_is_refused(root: Path) -> None:
    rows = load_nyuv2(str(root)).train
    with pytest.raises(UserError, match=r"dataset\.augment: .*segmentation, depth, normal"):
        Stream(
            "dataset",
            rows,
            specs={},
            batch_size=4,
            seed=0,
            device=CPU,
            augment=Augment(flip=0.5),
            memory_budget=0,
        )


@pytest.mark.parametrize("label", ["label", "label_7"])
def test_cityscapes(tmp_path: Path, label: str) -> None:
    write_scenes(tmp_path / "cityscapes", {"train": 3, "val": 2}, (label, "depth"), 7, (16, 32))
    dataset = load_cityscapes(str(tmp_path))
    assert list(dataset.classes) == ["segmentation", "depth"]
    batch = dataset.train.fetch(torch.arange(3))
    assert batch.targets["segmentation"].shape == (3, 16, 32)
    assert set(batch.targets["segmentation"].unique().tolist()) == {*range(7), 255}


def test_the_folder_of_the_data_set_itself_is_found_too(root: Path) -> None:
    assert len(load_nyuv2(str(root / "nyuv2")).train) == 11


def test_a_missing_data_set_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"found no nyuv2/train and nyuv2/val"):
        load_nyuv2(str(tmp_path))


def test_a_missing_map_is_told(root: Path) -> None:
    (root / "nyuv2/val/normal/1.npy").unlink()
    with pytest.raises(UserError, match=r"1 of 2 files are missing, for example 1\.npy"):
        load_nyuv2(str(root))


@pytest.mark.parametrize(
    ("kind", "content", "complaint"),
    [
        ("image", np.full((32, 48, 3), 200.0), "colours from 200 to 200; expected floats in"),
        ("image", np.zeros((3, 32, 48)), r"expected an array \(height, width, 3\), found"),
        ("image", np.zeros((32, 40, 3)), "is 32 x 40 pixels; expected 32 x 48"),
        ("label", np.full((32, 48), 13), r"1,536 pixels labelled outside 0\.\.12, for example"),
        ("label", np.zeros((32, 48, 2)), r"expected an array \(height, width\)"),
        ("depth", np.full((32, 48, 1), np.nan), "not finite"),
        ("normal", np.zeros((32, 48)), r"expected an array \(height, width, 3\)"),
        ("normal", np.array(["text"]), "expected numbers"),
    ],
)
def test_a_file_of_another_form_is_told(
    root: Path, kind: str, content: np.ndarray, complaint: str
) -> None:
    path = root / "nyuv2" / "train" / kind / "5.npy"
    np.save(path, content)
    rows = load_nyuv2(str(root)).train
    with pytest.raises(UserError, match=complaint) as caught:
        rows.fetch(torch.tensor([5]))
    assert str(path) in str(caught.value)


def test_a_damaged_file_is_told(root: Path) -> None:
    path = root / "nyuv2/train/depth/0.npy"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UserError, match=r"0\.npy: not a readable array file"):
        load_nyuv2(str(root)).train.fetch(torch.tensor([0]))
