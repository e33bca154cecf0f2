"""Image folders: layouts, decoding, and one clear line for each thing that may be wrong."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from jlrun.data.datasets.imagefolder import load_imagefolder
from jlrun.data.reading.image_files import read_image
from jlrun.data.rows import Rows
from jlrun.data.sources import load_all
from jlrun.errors import UserError

SAMPLE = Path(__file__).parents[4] / "shared" / "data" / "cifar10_sample"
CPU = torch.device("cpu")


def save(path: Path, colour: tuple[int, int, int] = (255, 0, 0), size=(8, 8)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def make(root: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        save(root / name, (number, 0, 0))
    return root


def labels(rows: Rows | None) -> list[int]:
    assert rows is not None
    return rows.targets["label"].tolist()


def load_whole(root: Path | str, **options) -> None:
    dataset = load_imagefolder(str(root), size=8, **options)
    if dataset.incomplete is not None:  # which data that need no labels may be
        raise UserError([dataset.incomplete])
    load_all(dataset.train, CPU)


def complaint(root: Path | str, **options) -> str:
    """Return the one line that loading or decoding ``root`` ends with."""
    with pytest.raises(UserError) as caught:
        load_whole(root, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_official_splits(tmp_path: Path) -> None:
    make(tmp_path, "train/b/1.png", "train/a/1.png", "train/a/2.png", "val/a/1.png", "test/b/1.png")
    dataset = load_imagefolder(str(tmp_path), size=8)
    assert dataset.classes == {"label": ("a", "b")}
    assert (labels(dataset.train), labels(dataset.val), labels(dataset.test)) == (
        [0, 0, 1],
        [0],
        [1],
    )
    batch = dataset.train.fetch(torch.tensor([2, 0]))
    assert batch.inputs["image"].shape == (2, 3, 8, 8)
    assert batch.inputs["image"].dtype == torch.uint8
    assert batch.inputs["image"][:, 0, 0, 0].tolist() == [0, 1]
    assert batch.targets["label"].tolist() == [1, 0]
    assert dataset.train.num_bytes == 3 * 3 * 8 * 8


@pytest.mark.parametrize("missing", [("val",), ("test",), ("val", "test")])
def test_val_and_test_may_be_missing(tmp_path: Path, missing: tuple[str, ...]) -> None:
    for split in {"train", "val", "test"} - set(missing):
        make(tmp_path / split, "a/1.png", "b/1.png")
    dataset = load_imagefolder(str(tmp_path))
    assert (dataset.val is None) == ("val" in missing)
    assert (dataset.test is None) == ("test" in missing)


def test_class_folders_alone(tmp_path: Path) -> None:
    dataset = load_imagefolder(str(make(tmp_path, "dog/1.png", "cat/1.png", "cat/x/y/2.PNG")))
    assert dataset.classes == {"label": ("cat", "dog")}
    assert labels(dataset.train) == [0, 0, 1]
    assert dataset.val is None
    assert dataset.test is None


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    dataset = load_imagefolder(str(make(tmp_path, "train/1.png", "car/1.png", "plane/1.png")))
    assert dataset.classes == {"label": ("car", "plane", "train")}


def test_hidden_files_and_other_files_are_passed_over(tmp_path: Path) -> None:
    make(tmp_path, "a/1.png", "a/.hidden.png", "b/1.JpG", ".cache/1.png")
    (tmp_path / "a" / "notes.txt").write_text("no image")
    (tmp_path / "README.md").write_text("no class")
    assert labels(load_imagefolder(str(tmp_path)).train) == [0, 1]


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    make(tmp_path / "elsewhere", "1.png", "2.png")
    make(tmp_path / "data", "a/1.png")
    (tmp_path / "data" / "b").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "data" / "a" / "again").symlink_to(tmp_path / "data" / "a")
    (tmp_path / "data" / "a" / "up").symlink_to(tmp_path / "data")
    assert len(labels(load_imagefolder(str(tmp_path / "data")).train)) >= 3


def test_a_home_folder_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(make(tmp_path, "data/a/1.png", "data/b/1.png")))
    assert len(load_imagefolder("~/data").train) == 2


def test_statistics_may_be_given(tmp_path: Path) -> None:
    make(tmp_path, "a/1.png", "b/1.png")
    given = load_imagefolder(str(tmp_path), mean=[0.5, 0.4, 0.3], std=[0.1, 0.2, 0.3])
    spec = given.modalities["image"]
    assert (spec.mean, spec.std) == ((0.5, 0.4, 0.3), (0.1, 0.2, 0.3))  # pyright: ignore
    assert load_imagefolder(str(tmp_path)).modalities["image"].mean == ()  # pyright: ignore
    assert "2 values for channels=3" in complaint(tmp_path, mean=[0.5, 0.4])
    assert "must be positive" in complaint(tmp_path, std=[0.5, 0.4, 0.0])


def test_an_image_is_cut_to_its_centre_and_resized(tmp_path: Path) -> None:
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, 20:40] = 200
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    image = read_image(tmp_path / "wide.png", 10, 3)
    assert image.shape == (3, 10, 10)
    assert image[:, :, 1:-1].unique().tolist() == [200]  # an edge blends with what is beyond it


def test_gray_is_luma(tmp_path: Path) -> None:
    path = save(tmp_path / "red.png", (255, 0, 0))
    assert read_image(path, 8, 1).unique().tolist() == [76]  # 0.299 * 255
    assert read_image(path, 8, 1).shape == (1, 8, 8)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "F"])
def test_every_kind_of_pixel_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("image.tif" if mode in ("CMYK", "F") else "image.png")
    white = {"I;16": 65535, "CMYK": (0, 0, 0, 0), "RGBA": (255,) * 4, "LA": (255, 255), "1": 1}
    if mode == "P":
        image = Image.new("RGB", (8, 8), "white").convert("P")
        image.info["transparency"] = bytes(range(256))
    else:
        image = Image.new(mode, (8, 8), white.get(mode, 255))
    image.save(path)
    assert read_image(path, 8, 3).unique().tolist() == [255]


def test_sixteen_bit_gray_keeps_its_shades(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 32768, np.uint16)).save(tmp_path / "gray.png")
    assert read_image(tmp_path / "gray.png", 8, 1).unique().tolist() == [128]


def test_the_orientation_mark_of_a_camera_is_followed(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8), np.uint8)
    pixels[:4] = 255
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise: the top becomes the right
    image.save(tmp_path / "turned.png", exif=exif)
    assert read_image(tmp_path / "turned.png", 8, 1)[0, 0].tolist() == [0] * 4 + [255] * 4


def test_bad_files_are_skipped_and_all_of_them_named(tmp_path: Path) -> None:
    names = [
        f"{split}/{name}/{i}.png" for split in ("train", "test") for name in "ab" for i in "12"
    ]
    make(tmp_path, *names, "unlabelled/3.png")
    bad = [tmp_path / name for name in ("train/b/1.png", "test/a/1.png", "test/a/2.png")]
    for path in bad:
        path.write_bytes(b"broken")
    dataset = load_imagefolder(str(tmp_path), size=8, on_error="skip")
    assert (labels(dataset.train), labels(dataset.test)) == ([0, 0, 1, 0], [1, 1])
    load_all(dataset.train, CPU)
    assert dataset.report is not None
    (line,) = dataset.report.lines("dataset")
    table = dataset.report.files()["bad_rows.csv"]
    assert line.startswith("skipped images: 3 of 9 (bad_rows.csv): ")
    assert all(str(path) in line and str(path) in table for path in bad)
    assert dataset.report.to_json() == {"rows": 9, "skipped": 3, "reasons": {"corrupt image": 3}}
    (tmp_path / "train/b/2.png").write_bytes(b"broken")
    with pytest.raises(UserError, match=r"skip leaves no image of 'b': .*1\.png: not a readable"):
        load_imagefolder(str(tmp_path), size=8, on_error="skip")
    assert load_imagefolder(str(tmp_path), size=8).report.to_json()["skipped"] == 0  # pyright: ignore


def test_a_missing_folder(tmp_path: Path) -> None:
    message = complaint(tmp_path / "nowhere")
    assert str(tmp_path / "nowhere") in message
    assert "no such folder" in message
    assert "train/<class>" in message


def test_a_file_instead_of_a_folder(tmp_path: Path) -> None:
    assert "is a file" in complaint(save(tmp_path / "1.png"))


def test_an_empty_folder(tmp_path: Path) -> None:
    assert "is empty" in complaint(tmp_path)


def test_images_without_class_folders(tmp_path: Path) -> None:
    assert "has images (1.png) but no class folders" in complaint(make(tmp_path, "1.png"))
    make(tmp_path / "deep", "train/1.png")
    assert "has images (1.png) but no class folders" in complaint(tmp_path / "deep")


def test_test_images_without_class_folders(tmp_path: Path) -> None:
    make(tmp_path, "train/a/1.png", "train/b/1.png", "test/1.png")
    message = complaint(tmp_path)
    assert message.startswith(str(tmp_path / "test"))
    assert "no class folders with images" in message


def test_a_class_without_images(tmp_path: Path) -> None:
    make(tmp_path, "a/1.png")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "1.txt").touch()
    message = complaint(tmp_path)
    assert message.startswith(str(tmp_path / "b"))
    assert "no images in this class folder" in message
    assert ".png" in message


def test_a_single_class_hints_at_the_folder_below(tmp_path: Path) -> None:
    message = complaint(make(tmp_path, "mine/train/a/1.png", "mine/train/b/1.png"))
    assert "only one class, 'mine'" in message
    assert f"did you mean '{tmp_path / 'mine'}'?" in message


def test_a_class_that_is_not_among_the_training_ones(tmp_path: Path) -> None:
    make(tmp_path, "train/cats/1.png", "train/dogs/1.png", "test/cat/1.png")
    message = complaint(tmp_path)
    assert message.startswith(str(tmp_path / "test" / "cat"))
    assert "Did you mean 'cats'?" in message


def test_splits_without_train(tmp_path: Path) -> None:
    assert "found test and val, but no train" in complaint(
        make(tmp_path, "val/a/1.png", "test/a/1.png")
    )


def test_a_validation_folder_of_another_name(tmp_path: Path) -> None:
    make(tmp_path, "train/a/1.png", "train/b/1.png", "valid/a/1.png")
    assert "rename it to val" in complaint(tmp_path)


@pytest.mark.parametrize("content", ["text", "empty", "truncated"])
def test_a_damaged_image(tmp_path: Path, content: str) -> None:
    make(tmp_path, "a/1.png", "b/1.png")
    broken = save(tmp_path / "b" / "2.jpg", size=(64, 64))
    whole = broken.read_bytes()
    broken.write_bytes(
        {"text": b"hello", "empty": b"", "truncated": whole[: len(whole) // 2]}[content]
    )
    message = complaint(tmp_path)
    assert message.startswith(f"{broken}: not a readable image")


def test_an_image_that_has_gone(tmp_path: Path) -> None:
    dataset = load_imagefolder(str(make(tmp_path, "a/1.png", "b/1.png")))
    (tmp_path / "b" / "1.png").unlink()
    with pytest.raises(UserError, match="can't be read: No such file"):
        load_all(dataset.train, CPU)


def test_a_folder_that_may_not_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a/1.png", "b/1.png")
    listed = os.scandir

    def scandir(path):
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert complaint(tmp_path) == f"{tmp_path / 'b'}: can't be listed: Permission denied"


@pytest.mark.skipif(not SAMPLE.is_dir(), reason="the shared data are not beside this checkout")
def test_a_real_image_folder() -> None:
    dataset = load_imagefolder(str(SAMPLE))
    assert dataset.test is not None
    assert (len(dataset.train), len(dataset.test)) == (10_000, 2_000)
    assert dataset.classes["label"][0] == "airplane"
    assert dataset.train.targets["label"].bincount().tolist() == [1000] * 10
    images = dataset.train.fetch(torch.arange(0, 10_000, 100)).inputs["image"]
    assert images.shape == (100, 3, 32, 32)
    # CIFAR-10's own mean, as in most training recipes, is (0.491, 0.482, 0.447).
    mean = images.double().mean((0, 2, 3)) / 255
    torch.testing.assert_close(
        mean, torch.tensor([0.491, 0.482, 0.447]).double(), atol=0.04, rtol=0
    )


def test_images_without_labels_are_training_rows_and_classes_those_of_all_splits(
    tmp_path: Path,
) -> None:
    make(tmp_path, "unlabelled/1.png", "unlabelled/more/2.png", "test/b/1.png", "val/a/1.png")
    dataset = load_imagefolder(str(tmp_path), size=8)
    assert dataset.classes == {"label": ("a", "b")}
    assert (len(dataset.train), labels(dataset.val), labels(dataset.test)) == (2, [0], [1])
    assert dataset.train.labelled["label"].tolist() == [False, False]
    assert "no class folders" in str(dataset.incomplete)


@pytest.mark.parametrize("folder", ["", "train/"])
def test_images_that_lie_in_no_class_folder_have_no_label(folder: str, tmp_path: Path) -> None:
    make(tmp_path, f"{folder}1.png", f"{folder}2.png")
    dataset = load_imagefolder(str(tmp_path), size=8)
    assert dataset.classes == {"label": ()}
    assert dataset.train.labelled["label"].tolist() == [False, False]


def test_a_few_images_with_labels_beside_others_without(tmp_path: Path) -> None:
    make(tmp_path, "train/a/1.png", "train/b/1.png", "unlabelled/1.png")
    dataset = load_imagefolder(str(tmp_path), size=8)
    assert dataset.incomplete is None
    assert labels(dataset.train)[:2] == [0, 1]
    assert dataset.train.labelled["label"].tolist() == [True, True, False]
